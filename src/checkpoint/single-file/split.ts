import { FileFormatError, UnusedWeightError } from '../../errors.ts';
import { count } from '../../text.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Weight } from '../../weights/weight.ts';
import { clip } from './clip.ts';
import { isIgnored } from './ignored.ts';
import { ldmControlNet } from './ldm-controlnet.ts';
import { ldmUnet } from './ldm-unet.ts';
import { ldmVae } from './ldm-vae.ts';
import { openClip } from './open-clip.ts';
import { asItIs, type Translate } from './translate.ts';

/** What a single file may hold, under the names of diffusers' folders. */
export type Part = 'unet' | 'vae' | 'text_encoder' | 'text_encoder_2' | 'controlnet';

/** The networks of a file, in diffusers' names. */
export type Parts = ReadonlyMap<Part, ReadonlyMap<string, Weight>>;

/** One way in which files hold a part. */
interface Layout {
  readonly part: Part;
  /** What all of its names begin with. */
  readonly prefix: string;
  /** A name behind the prefix that only this layout has. */
  readonly mark: RegExp;
  /** Makes the translation of the names behind the prefix. */
  readonly translate: (names: readonly string[]) => Translate;
}

const diffusers = () => asItIs;

const ldmVaeMark = /^(en|de)coder\.(down|mid|up)\./;
const diffusersVaeMark = /^(en|de)coder\.(down_blocks|mid_block|up_blocks)\./;

/** UNets, VAEs and ControlNets come with either naming, within a whole checkpoint or alone. */
const layouts: readonly Layout[] = [
  {
    part: 'unet',
    prefix: 'model.diffusion_model.',
    mark: /^(time_embed|input_blocks|middle_block|output_blocks)\./,
    translate: ldmUnet,
  },
  {
    part: 'unet',
    prefix: 'model.diffusion_model.',
    mark: /^(time_embedding|down_blocks|mid_block|up_blocks)\./,
    translate: diffusers,
  },
  { part: 'unet', prefix: '', mark: /^output_blocks\./, translate: ldmUnet }, // which no ControlNet has
  { part: 'unet', prefix: '', mark: /^up_blocks\./, translate: diffusers },
  ...['first_stage_model.', 'vae.', ''].flatMap((prefix): Layout[] => [
    { part: 'vae', prefix, mark: ldmVaeMark, translate: ldmVae },
    { part: 'vae', prefix, mark: diffusersVaeMark, translate: diffusers },
  ]),
  ...['control_model.', ''].flatMap((prefix): Layout[] => [
    { part: 'controlnet', prefix, mark: /^input_hint_block\./, translate: ldmControlNet },
    { part: 'controlnet', prefix, mark: /^controlnet_cond_embedding\./, translate: diffusers },
  ]),
  ...['cond_stage_model.transformer.', 'conditioner.embedders.0.transformer.'].map(
    (prefix): Layout => ({
      part: 'text_encoder',
      prefix,
      mark: /^(text_model\.)?(embeddings|encoder|final_layer_norm)\./,
      translate: clip,
    }),
  ),
  ...(
    [
      ['text_encoder', 'cond_stage_model.model.'],
      ['text_encoder_2', 'conditioner.embedders.0.model.'], // the refiner's only one
      ['text_encoder_2', 'conditioner.embedders.1.model.'],
    ] as const
  ).map(
    ([part, prefix]): Layout => ({
      part,
      prefix,
      mark: /^(token_embedding|transformer|ln_final)\./,
      translate: () => openClip(part),
    }),
  ),
];

/**
 * The networks in a file of tensors, whoever named them; a file with none gives none. Throws `FileFormatError` when a
 * network is there twice, `UnusedWeightError` when tensors belong to nothing.
 */
export function splitSingleFile({ path, weights }: Pick<WeightFile, 'path' | 'weights'>): Parts {
  const names = [...weights.keys()].filter((name) => !isIgnored(name));
  const found = layoutsOf(path, names);
  const parts = new Map<Part, Map<string, Weight>>();
  const left: string[] = [];
  const translations = found.map((layout) => ({ ...layout, apply: layout.translate(behind(layout, names)) }));
  for (const name of names) {
    const weight = weights.get(name);
    const layout = translations.find(({ prefix }) => name.startsWith(prefix));
    const translated = weight && layout?.apply(name.slice(layout.prefix.length), weight);
    if (!translated || !layout) {
      left.push(name);
      continue;
    }
    const part = parts.get(layout.part) ?? new Map<string, Weight>();
    parts.set(layout.part, part);
    for (const each of translated) {
      if (part.has(each.name)) throw twice(path, layout.part, name, each.name);
      part.set(each.name, each);
    }
  }
  if (found.length > 0 && left.length > 0) throw leftOver(path, left, names.length);
  return parts;
}

/** The layouts that a file's names show, at most one for each part; longer prefixes first, so that each name finds its own. */
function layoutsOf(path: string, names: readonly string[]): readonly Layout[] {
  const found = layouts.filter((layout) => names.some((name) => isMarkOf(layout, name)));
  for (const layout of found) {
    const other = found.find((each) => each !== layout && each.part === layout.part);
    if (!other) continue;
    throw new FileFormatError({
      problem: `${path} holds two networks that could be its ${layout.part}.`,
      details: {
        first: names.find((name) => isMarkOf(layout, name)) ?? '',
        second: names.find((name) => isMarkOf(other, name)) ?? '',
      },
      advice: 'The file was put together from two. Use the model as its author published it.',
    });
  }
  return found.toSorted((a, b) => b.prefix.length - a.prefix.length);
}

function isMarkOf({ prefix, mark }: Layout, name: string): boolean {
  return name.startsWith(prefix) && mark.test(name.slice(prefix.length));
}

function behind({ prefix }: Layout, names: readonly string[]): readonly string[] {
  return names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

function twice(path: string, part: Part, name: string, now: string): FileFormatError {
  return new FileFormatError({
    problem: `a tensor of the ${part} is in ${path} under two names.`,
    details: { one: name, both: now },
    advice: 'The file was put together from two. Use the model as its author published it.',
  });
}

function leftOver(path: string, left: readonly string[], all: number): UnusedWeightError {
  const [first = ''] = left;
  return new UnusedWeightError({
    problem: `${path} has ${count(left.length, 'tensor')} that no network of Stable Diffusion has.`,
    details: { first, tensors: `${left.length.toLocaleString('en')} of ${all.toLocaleString('en')}` },
    advice:
      'The file is of a kind of model that is not supported, or something was merged into it. Use the model as its author published it.',
  });
}
