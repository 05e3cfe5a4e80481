import type { Weight } from '../../weights/weight.ts';
import { parseLoraKey } from '../lora/lora-key.ts';

/**
 * Finds the networks in a file of tensors, in any layout. Each network has names that no other has, behind any prefix:
 * `model.diffusion_model.output_blocks.0.…` and `unet._orig_mod.output_blocks.0.…` both show a UNet. Recognising a file
 * always begins here.
 */

/** A network that a file may hold, named like diffusers' folders. */
export type Part = 'unet' | 'vae' | 'text_encoder' | 'text_encoder_2' | 'controlnet';

/** Naming scheme of a network's tensors. */
export type Naming = 'original' | 'diffusers' | 'openclip' | 'transformers';

/** A network in a file. */
export interface FoundPart {
  readonly part: Part;
  readonly naming: Naming;
  /** Common prefix of its tensors' names. */
  readonly prefix: string;
  /** One of the names that identify it, for messages. */
  readonly mark: string;
}

/** The networks and adapters in a file. */
export interface Survey {
  readonly parts: ReadonlyMap<Part, FoundPart>;
  /** Two networks that could equally well be the same part. */
  readonly rivals: readonly [FoundPart, FoundPart] | undefined;
  /** Names of tensors that belong to LoRAs and other adapters. */
  readonly adapters: readonly string[];
}

/** Shapes by name; recognition does not read the numbers. */
export type Shapes = ReadonlyMap<string, Pick<Weight, 'shape'>>;

/** Removes what torch.compile inserts into names. */
export function plainName(name: string): string {
  return name.replaceAll('_orig_mod.', '');
}

/** A pattern of names that identifies a network. */
interface Mark {
  readonly kind: 'denoiser' | 'vae' | 'text';
  readonly naming: Naming;
  /** Matches where the network's own names begin, after the prefix. */
  readonly own: RegExp;
  /** Endings of prefixes that rule the network out, since other networks have the same names behind them. */
  readonly not?: RegExp;
}

const side = /(^|\.)(en|de)coder\.$/;

const marks: readonly Mark[] = [
  {
    kind: 'denoiser',
    naming: 'original',
    own: /(?<=^|\.)((input_blocks|output_blocks|middle_block|input_hint_block)\.\d+\.|time_embed\.\d\.)/,
  },
  {
    kind: 'denoiser',
    naming: 'diffusers',
    own: /(?<=^|\.)((down_blocks\.\d+|up_blocks\.\d+|mid_block)\.(resnets|attentions|downsamplers|upsamplers)|controlnet_cond_embedding|time_embedding\.linear_1)\./,
    not: side,
  },
  {
    kind: 'vae',
    naming: 'original',
    own: /(?<=^|\.)(en|de)coder\.((down|up)\.\d+\.(block|attn|downsample|upsample)|mid\.(block|attn)_\d)\./,
  },
  {
    kind: 'vae',
    naming: 'diffusers',
    own: /(?<=^|\.)(en|de)coder\.((down|up)_blocks\.\d+\.(resnets|attentions|downsamplers|upsamplers)|mid_block\.(resnets|attentions))\./,
  },
  {
    kind: 'text',
    naming: 'transformers',
    own: /(?<=^|\.)text_model\.(embeddings|encoder|final_layer_norm)\./,
  },
  {
    kind: 'text',
    naming: 'transformers',
    own: /(?<=^|\.)embeddings\.token_embedding\./,
    not: /(^|\.)text_model\.$/,
  },
  {
    kind: 'text',
    naming: 'openclip',
    own: /(?<=^|\.)(transformer\.resblocks\.\d+\.|token_embedding\.weight$)/,
    not: /(^|\.)(visual|embeddings)\.$/,
  },
];

/** Finds the networks and adapters in a file by its tensors' names. */
export function survey(shapes: Shapes): Survey {
  const adapters: string[] = [];
  const groups = new Map<string, { readonly mark: Mark; readonly prefix: string; names: string[] }>();
  for (const name of shapes.keys()) {
    const plain = plainName(name);
    if (isIncidental(plain)) continue;
    if (parseLoraKey(plain)) {
      adapters.push(name);
      continue;
    }
    for (const mark of marks) {
      const at = mark.own.exec(plain)?.index;
      if (at === undefined) continue;
      const prefix = plain.slice(0, at);
      if (mark.not?.test(prefix)) continue;
      const key = `${mark.kind} ${mark.naming} ${prefix}`;
      const group = groups.get(key) ?? { mark, prefix, names: [] };
      group.names.push(plain);
      groups.set(key, group);
      break;
    }
  }
  const hasSizes = [...shapes.keys()].some((name) =>
    /(^|\.)(label_emb\.0\.0|add_embedding\.linear_1)\./.test(name),
  );
  const found = [...groups.values()].flatMap(({ mark, prefix, names }): FoundPart[] => {
    const part = partOf(mark, prefix, names, { shapes, hasSizes });
    return part ? [{ part, naming: mark.naming, prefix, mark: names[0] ?? '' }] : [];
  });
  return { ...bestOf(found), adapters };
}

/** Whether a name identifies no network: position ids that transformers once saved, tensors of losses and EMA. */
function isIncidental(name: string): boolean {
  return /(^|\.)(position_ids|logit_scale)$|(^|\.)(loss|model_ema)\./.test(name);
}

/** The part that names behind a prefix belong to; `undefined` for an unknown network. */
function partOf(
  { kind, naming }: Mark,
  prefix: string,
  names: readonly string[],
  file: { readonly shapes: Shapes; readonly hasSizes: boolean },
): Part | undefined {
  if (kind === 'vae') return 'vae';
  if (kind === 'text') return textPart(prefix, naming, file);
  const own = names.map((name) => name.slice(prefix.length));
  if (own.some((name) => /^(output_blocks|up_blocks)\./.test(name))) return 'unet';
  if (own.some((name) => /^(input_hint_block|controlnet_cond_embedding)\./.test(name))) return 'controlnet';
  // An incomplete network is accepted: building its graph reports what is missing.
  if (/(^|\.)control(_model|net)\.$/.test(prefix)) return 'controlnet';
  const hasTime = own.some((name) => /^time_embed/.test(name));
  return hasTime || /(^|\.)(diffusion_model|unet)\.$/.test(prefix) ? 'unet' : undefined;
}

/**
 * Recognises XL's second text encoder by its prefix. The refiner's only one counts as a second, that of 2.x as a first.
 */
function textPart(
  prefix: string,
  naming: Naming,
  { shapes, hasSizes }: { readonly shapes: Shapes; readonly hasSizes: boolean },
): Part {
  if (/embedders\.1\.|cond_stage_model\.1\.|text_encoder_2\.|(^|\.)clip_g\.|(^|\.)te2\./.test(prefix))
    return 'text_encoder_2';
  if (/cond_stage_model\.|text_encoder\.|(^|\.)clip_[hl]\.|(^|\.)te1?\./.test(prefix)) return 'text_encoder';
  if (naming === 'openclip' && hasSizes) return 'text_encoder_2';
  const width = shapes.get(`${prefix}token_embedding.weight`)?.shape[1];
  return width === 1280 && naming === 'openclip' ? 'text_encoder_2' : 'text_encoder';
}

/** Prefixes that common tools write; a part behind another prefix is taken where none has a usual one. */
const usualPrefixes =
  /^((model\.)?diffusion_model\.|first_stage_model\.|vae\.|cond_stage_model\.(transformer|model)\.|conditioner\.embedders\.\d\.(transformer|model)\.|control_model\.|unet\.|text_encoder(_2)?\.|)$/;
const emaPrefix = /(^|[._])ema([._]|$)/;

/** Rank of a candidate for its part: 2 behind a usual prefix, 1 behind another, 0 for EMA weights. */
function claim({ prefix }: FoundPart): number {
  if (emaPrefix.test(prefix)) return 0;
  return usualPrefixes.test(prefix) ? 2 : 1;
}

/** The best candidate for each part. Of several that are equally good, one does not say which is meant: they are rivals. */
function bestOf(found: readonly FoundPart[]): Pick<Survey, 'parts' | 'rivals'> {
  const parts = new Map<Part, FoundPart>();
  let rivals: Survey['rivals'];
  for (const [part, candidates] of Map.groupBy(found, (each) => each.part)) {
    const best = Math.max(...candidates.map(claim));
    const [first, second] = candidates.filter((each) => claim(each) === best);
    if (first) parts.set(part, first);
    if (first && second) rivals ??= [first, second];
  }
  return { parts, rivals };
}
