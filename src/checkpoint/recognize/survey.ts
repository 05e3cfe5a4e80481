import type { Weight } from '../../weights/weight.ts';
import { parseLoraKey } from '../lora/lora-key.ts';

/**
 * What networks a file of tensors holds, whoever named them. Names say it by the marks that only one network has, behind
 * any prefix: `model.diffusion_model.output_blocks.0.…` and `unet._orig_mod.output_blocks.0.…` are a UNet alike. Everything
 * that decides what a file is begins here.
 */

/** What a file may hold, under the names of diffusers' folders. */
export type Part = 'unet' | 'vae' | 'text_encoder' | 'text_encoder_2' | 'controlnet';

/** Whose names a network's tensors have. */
export type Naming = 'original' | 'diffusers' | 'openclip' | 'transformers';

/** A network in a file. */
export interface FoundPart {
  readonly part: Part;
  readonly naming: Naming;
  /** What stands before all of its names. */
  readonly prefix: string;
  /** A name that shows it. */
  readonly mark: string;
}

/** The networks of a file, and what else its names show. */
export interface Survey {
  readonly parts: ReadonlyMap<Part, FoundPart>;
  /** Two networks that could be the same part, neither of which has a better claim. */
  readonly rivals: readonly [FoundPart, FoundPart] | undefined;
  /** The names that change a network and are none: those of LoRAs and the like. */
  readonly adapters: readonly string[];
}

/** Names and shapes; the numbers are not looked at. */
export type Shapes = ReadonlyMap<string, Pick<Weight, 'shape'>>;

/** A name without what compilers put into it. */
export function plainName(name: string): string {
  return name.replaceAll('_orig_mod.', '');
}

/** One way in which names show a network. */
interface Mark {
  readonly kind: 'denoiser' | 'vae' | 'text';
  readonly naming: Naming;
  /** Begins where the network's own names begin. */
  readonly own: RegExp;
  /** What the prefix must not end with: the same names are parts of other networks. */
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

/** The networks that a file's names show. */
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

/** Names within networks' places that show no network: numbers that transformers once saved, what losses were trained with. */
function isIncidental(name: string): boolean {
  return /(^|\.)(position_ids|logit_scale)$|(^|\.)(loss|model_ema)\./.test(name);
}

/** Which part names behind one prefix are; `undefined` where they are of none that is known. */
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
  // Half a network: it is for who builds it to say what is missing.
  if (/(^|\.)control(_model|net)\.$/.test(prefix)) return 'controlnet';
  const hasTime = own.some((name) => /^time_embed/.test(name));
  return hasTime || /(^|\.)(diffusion_model|unet)\.$/.test(prefix) ? 'unet' : undefined;
}

/** The second encoder of XL is told by its name. The refiner's only one is a second encoder as well; 2.x's is a first. */
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

/** Where the best-known tools put each part; what lies elsewhere is taken where nothing lies there. */
const usualPrefixes =
  /^((model\.)?diffusion_model\.|first_stage_model\.|vae\.|cond_stage_model\.(transformer|model)\.|conditioner\.embedders\.\d\.(transformer|model)\.|control_model\.|unet\.|text_encoder(_2)?\.|)$/;
const averages = /(^|[._])ema([._]|$)/;

function claim({ prefix }: FoundPart): number {
  if (averages.test(prefix)) return 0;
  return usualPrefixes.test(prefix) ? 2 : 1;
}

function bestOf(found: readonly FoundPart[]): Pick<Survey, 'parts' | 'rivals'> {
  const parts = new Map<Part, FoundPart>();
  let rivals: Survey['rivals'];
  for (const each of found) {
    const other = parts.get(each.part);
    if (!other || claim(each) > claim(other)) parts.set(each.part, each);
    if (other && claim(each) === claim(other)) rivals ??= [other, each];
  }
  return { parts, rivals: rivals && claim(rivals[0]) >= claimOf(parts, rivals[0].part) ? rivals : undefined };
}

function claimOf(parts: ReadonlyMap<Part, FoundPart>, part: Part): number {
  const best = parts.get(part);
  return best ? claim(best) : 0;
}
