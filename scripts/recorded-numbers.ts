/**
 * Converts the checkpoints that diffusers' numbers were recorded for and compares every network of theirs with every
 * recording, in both formats and all precisions, converted as `convert` does and run and judged as `validate` does (which
 * would load a model anew for each recording). Prints a line for each comparison (the lowest PSNR of the outputs), the
 * lowest of each format and precision, and how many passed. What is missing has failed: a recording, a network, an output
 * that no recording has, a recording that nothing was compared with.
 *
 *     node scripts/recorded-numbers.ts SHARED WORK [CSV]
 *
 * SHARED holds `checkpoints/` and `goldens/`. With CSV (benchmarks/results/accuracy.csv), the lowest are appended there.
 */

import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { appendRows, circumstances } from '../benchmarks/results-file.ts';
import type { NetworkName } from '../src/convert/networks/networks.ts';
import type { TensorMap } from '../src/formats/runner.ts';
import { type ConvertOptions, type ConvertRequest, convert } from '../src/index.ts';
import { openChain } from '../src/run/chain.ts';
import { feedsFor, recordedOutputs } from '../src/run/feeds.ts';
import { judge } from '../src/validate/verdict.ts';
import { readTensors } from '../src/weights/read-tensors.ts';
import type { TensorData } from '../src/weights/tensor-data.ts';

const [shared, work, csv] = process.argv.slice(2);
if (!shared || !work) throw new Error('usage: node scripts/recorded-numbers.ts SHARED WORK [CSV]');
const goldens = join(shared, 'goldens');
const checkpoint = (...names: string[]): string => join(shared, 'checkpoints', ...names);

/** One conversion, and what it is compared with. */
interface Recorded {
  readonly title: string;
  readonly request: ConvertOptions;
  /** How the weights are stored. From float16, only `_w16` can be reached; with a LoRA, only float32 is recorded. */
  readonly stored: 'float16' | 'float32' | 'float32, merged';
  readonly family?: 'sdxl';
  /** Each network's recordings: NAME, NAME.case1, …, as many as there must be. */
  readonly networks: readonly (readonly [model: NetworkName, name: string, count: number])[];
}

const table: readonly Recorded[] = [
  {
    title: 'sd15',
    request: { modelVersion: checkpoint('sd15') },
    stored: 'float32',
    networks: [
      ['text_encoder', 'sd15/text_encoder', 3],
      ['unet', 'sd15/unet', 3],
      ...vae('sd15'),
      ['safety_checker', 'sd15/safety_checker', 3],
    ],
  },
  {
    title: 'sd15 controlled',
    request: { modelVersion: checkpoint('sd15'), controlledUnet: true },
    stored: 'float32',
    networks: [['control-unet', 'sd15/control-unet', 2]],
  },
  {
    title: 'sd15-wide and a ControlNet',
    request: { modelVersion: checkpoint('sd15-wide'), controlnets: [checkpoint('controlnet-sd15')] },
    stored: 'float16',
    networks: [
      ['unet', 'sd15-wide/unet', 3],
      ...vae('sd15-wide'),
      ['controlnet', 'controlnet-sd15/controlnet', 3],
    ],
  },
  {
    title: 'sd21',
    request: { modelVersion: checkpoint('sd21') },
    stored: 'float16',
    networks: [['text_encoder', 'sd21/text_encoder', 3], ['unet', 'sd21/unet', 3], ...vae('sd21')],
  },
  {
    title: 'sdxl and its refiner',
    request: { modelVersion: checkpoint('sdxl'), refinerVersion: checkpoint('sdxl-refiner') },
    stored: 'float16',
    family: 'sdxl',
    networks: [
      ['text_encoder', 'sdxl/text_encoder', 3],
      ['text_encoder_2', 'sdxl/text_encoder_2', 3],
      ['unet', 'sdxl/unet', 3],
      ['refiner', 'sdxl-refiner/unet', 3],
      ...vae('sdxl'),
    ],
  },
  {
    title: 'sdxl controlled',
    request: { modelVersion: checkpoint('sdxl'), controlledUnet: true },
    stored: 'float16',
    family: 'sdxl',
    networks: [['control-unet', 'sdxl/control-unet', 2]],
  },
  {
    title: 'sdxl-refiner alone',
    request: { modelVersion: checkpoint('sdxl-refiner') },
    stored: 'float16',
    family: 'sdxl',
    networks: [
      ['text_encoder_2', 'sdxl-refiner/text_encoder_2', 3],
      ['unet', 'sdxl-refiner/unet', 3],
      ...vae('sdxl-refiner'),
    ],
  },
  ...(['diffusers', 'kohya'] as const).map((kind): Recorded => {
    const file = { diffusers: 'lora_diffusers_peft.safetensors', kohya: 'lora_kohya.safetensors' }[kind];
    const lora = { path: checkpoint('lora-sd15', file), scale: 0.7 };
    return {
      title: `sd15 and a LoRA (${kind})`,
      request: { modelVersion: checkpoint('sd15'), loras: [lora] },
      stored: 'float32, merged',
      networks: [
        ['text_encoder', `lora-sd15/${kind}_s0.7`, 1],
        ['unet', `lora-sd15/${kind}_s0.7`, 1],
      ],
    };
  }),
];

function vae(folder: string): Recorded['networks'] {
  return [
    ['vae_decoder', `${folder}/vae_decoder`, 2],
    ['vae_encoder', `${folder}/vae_encoder`, 2],
  ];
}

/** How networks are written. */
type Form = Required<Pick<ConvertRequest, 'targets' | 'precision' | 'attention'>>;

const forms: readonly Form[] = [
  { targets: ['onnx'], precision: 'float32', attention: 'ORIGINAL' },
  { targets: ['onnx'], precision: 'float16-weights', attention: 'SPLIT_EINSUM' },
  { targets: ['onnx'], precision: 'float16', attention: 'ORIGINAL' },
  { targets: ['coreml'], precision: 'float32', attention: 'SPLIT_EINSUM_V2' },
  { targets: ['coreml'], precision: 'float16', attention: 'SPLIT_EINSUM' },
];

/** How a network is computed, and the lowest PSNR in dB that passes. */
interface Check {
  readonly minPsnr: number;
  readonly roundToFloat16: boolean;
}

const [EXACT, ROUNDED] = [100, 55];
/**
 * SDXL's UNets of random weights enlarge every error: in float32, they are 15 dB below the others, too. Measured with
 * every operation rounded: 46.6 dB, 52.7 the refiner's, and 59.6 or more the others.
 */
const ROUNDED_XL = 40;

/** A Core ML package of float16 is computed twice: as it is stored, and with every operation rounded as on a device. */
function checksOf({ targets, precision }: Form, { family }: Recorded, model: NetworkName): Check[] {
  if (precision !== 'float16') return [{ minPsnr: EXACT, roundToFloat16: false }];
  if (targets.includes('onnx')) return [{ minPsnr: ROUNDED, roundToFloat16: false }];
  const isXl = family === 'sdxl' && ['unet', 'control-unet', 'refiner'].includes(model);
  const minPsnr = isXl ? ROUNDED_XL : ROUNDED;
  return [
    { minPsnr: EXACT, roundToFloat16: false },
    { minPsnr, roundToFloat16: true },
  ];
}

/** A recording as a network is to be compared with it. */
interface Reference {
  readonly model: NetworkName;
  /** `sd15/unet.case1` */
  readonly name: string;
  readonly tensors: TensorMap;
}

let [passed, failed] = [0, 0];
/** The lowest PSNR of each format, precision and family. */
const lowestOf = new Map<string, number>();
const used = new Set<string>();
const rest = table.values();
const compareRest = async (): Promise<void> => {
  for (const recorded of rest) await compareAll(recorded);
};
// Loading a model keeps one core busy.
await Promise.all([compareRest(), compareRest()]);
for (const file of recordings()) if (!used.has(file)) count(false, `${file}: nothing was compared with it`);
const rows = [...lowestOf].sort().map(([key, lowest]) => {
  const [format = '', precision = '', family = ''] = key.split(', ');
  return { format, precision, family, lowest_db: lowest.toFixed(1) };
});
for (const row of rows) console.log(`lowest  ${Object.values(row).join('  ')} dB`);
if (csv && failed === 0) {
  const here = circumstances();
  appendRows(
    csv,
    rows.map((row) => ({ ...here, ...row })),
  );
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function compareAll(recorded: Recorded): Promise<void> {
  for (const form of forms.filter(({ precision }) => reaches(recorded, precision))) {
    try {
      await compareForm(recorded, form);
    } catch (error) {
      count(false, `${error}`, `${recorded.title}  ${form.targets} ${form.precision}`);
    }
  }
}

function reaches({ stored }: Recorded, precision: Form['precision']): boolean {
  return stored !== 'float32, merged' || precision === 'float32';
}

/** All recordings of what networks give; a module's insides and a picture's resizing are not that. */
function recordings(): string[] {
  const folders = new Set(table.flatMap(({ networks }) => networks.map(([, name]) => dirname(name))));
  const files = [...folders].flatMap((folder) => globSync(`${folder}/*.safetensors`, { cwd: goldens }));
  return files.filter((file) => !/(\.intermediates|\/feature_extractor)\./.test(file)).sort();
}

/** Converts in one form (artifacts of a fixed size once for each size) and compares with all recordings. */
async function compareForm(recorded: Recorded, form: Form): Promise<void> {
  const references: Reference[] = [];
  for (const [model, name, cases] of recorded.networks) {
    for (let at = 0; at < cases; at++)
      references.push(...(await referenceFor(recorded, form, model, at ? `${name}.case${at}` : name)));
  }
  const isFree = form.targets.includes('onnx');
  const bySize = Map.groupBy(references, ({ tensors }) =>
    isFree ? undefined : latentSize(tensors).join('×'),
  );
  for (const group of bySize.values()) await compareConverted(recorded, form, group);
}

/** Converts the networks of some recordings of one size, and compares each with its own. */
async function compareConverted(
  recorded: Recorded,
  form: Form,
  references: readonly Reference[],
): Promise<void> {
  const [latentHeight, latentWidth] = latentSize(references[0]?.tensors);
  const sizes = form.targets.includes('onnx') ? {} : { latentHeight, latentWidth };
  const output = join(work ?? '', recorded.title);
  const byModel = Map.groupBy(references, ({ model }) => model);
  const models = [...byModel.keys()];
  const request = { ...recorded.request, ...form, sizes, models, output, bundle: false, force: true };
  const { artifacts } = await convert(request);
  for (const [model, own] of byModel) {
    const artifact = artifacts.find((each) => each.model === model);
    if (!artifact) throw new Error(`${model} was not written`);
    for (const check of checksOf(form, recorded, model)) {
      const precision = `${form.precision}${check.roundToFloat16 ? ' rounded' : ''}`;
      const what = `${recorded.title}  ${model}  ${form.targets} ${precision}`;
      const lowest = await compareModel(join(output, artifact.path), own, check, what);
      const key = [form.targets, precision, recorded.family ?? 'sd1 and sd2'].join(', ');
      lowestOf.set(key, Math.min(lowest, lowestOf.get(key) ?? lowest));
    }
  }
}

/** Runs a model on recorded inputs, compares every output, and gives the lowest PSNR in dB. */
async function compareModel(
  path: string,
  references: readonly Reference[],
  { minPsnr, roundToFloat16 }: Check,
  what: string,
): Promise<number> {
  let lowestOfAll = Number.POSITIVE_INFINITY;
  const model = await openChain([path], { optimize: false, roundToFloat16 });
  try {
    for (const { name, tensors } of references) {
      const expected = recordedOutputs(model, tensors);
      const found = await model.run(feedsFor(model, tensors));
      const outputs = judge(expected, found, { inputs: name, minPsnr });
      // Of the hidden states, one is recorded: the one that is used.
      const forgotten = [...found.keys()].filter(
        (output) => !expected.has(output) && !output.startsWith('hidden_states.'),
      );
      const lowest = Math.min(...outputs.map(({ psnr }) => psnr));
      lowestOfAll = Math.min(lowestOfAll, lowest);
      count(
        outputs.every(({ pass }) => pass) && forgotten.length === 0,
        ...[`${lowest.toFixed(1)} dB`, what, name],
        ...forgotten.map((output) => `${output} is not recorded`),
      );
    }
    return lowestOfAll;
  } finally {
    await model.close();
  }
}

/** Height and width of a recording's latents; those of most recordings where it has none. */
function latentSize(tensors: TensorMap | undefined): [height: number, width: number] {
  const latents = tensors?.get('sample') ?? tensors?.get('z') ?? tensors?.get('latent');
  const [, , height = 16, width = 16] = latents?.shape ?? [];
  return [height, width];
}

function count(pass: boolean, ...texts: string[]): void {
  pass ? passed++ : failed++;
  console.log([pass ? 'ok  ' : 'FAIL', ...texts].join('  '));
}

/** A recording as the form can reach it; none if it is missing, which counts as failed, or asks for what the form has not. */
async function referenceFor(
  { stored }: Recorded,
  { targets, precision }: Form,
  model: NetworkName,
  name: string,
): Promise<Reference[]> {
  const file = `${name}.safetensors`;
  const from = join(goldens, file);
  if (!existsSync(from)) {
    count(false, `${file} is not there`);
    return [];
  }
  used.add(file);
  const recorded = await readTensors(from);
  // ONNX's safety checker has no input that makes it stricter.
  if (targets.includes('onnx') && (recorded.get('adjustment')?.data[0] ?? 0) !== 0) return [];

  const rounding = precision === 'float32' && stored !== 'float16' ? '' : '_w16';
  const tensors = chosen(recorded, rounding);
  if (model === 'safety_checker' && targets.includes('coreml'))
    for (const picture of ['images', 'filtered_images']) tensors.set(picture, tiled(tensors.get(picture)));

  return [{ model, name, tensors }];
}

/** The tensors of one rounding of the weights: those that are recorded with the other are left out. */
function chosen(recorded: ReadonlyMap<string, TensorData>, rounding: '' | '_w16'): Map<string, TensorData> {
  const names = [...recorded.keys()].filter((name) => !name.endsWith('_w16'));
  const rounded = names.filter((name) => recorded.has(`${name}_w16`));
  if (rounding && rounded.length === 0) throw new Error('nothing is recorded with rounded weights');
  return new Map(
    names.flatMap((name) => {
      const tensor = recorded.get(rounded.includes(name) ? `${name}${rounding}` : name);
      return tensor ? [[name, tensor]] : [];
    }),
  );
}

/** The picture four times beside itself and below [1,4H,4W,3]: Core ML's safety checker takes 512 × 512, 128 is recorded. */
function tiled(picture: TensorData | undefined): TensorData {
  if (picture?.dtype !== 'f32') throw new Error('no picture is recorded');
  const [, height = 0, width = 0, channels = 0] = picture.shape;
  const data = new Float32Array(16 * picture.data.length);
  const row = width * channels;
  for (let y = 0; y < 4 * height; y++) {
    const start = (y % height) * row;
    for (let x = 0; x < 4; x++) data.set(picture.data.subarray(start, start + row), (4 * y + x) * row);
  }
  return { dtype: 'f32', shape: [1, 4 * height, 4 * width, channels], data };
}
