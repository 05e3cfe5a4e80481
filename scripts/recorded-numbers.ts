/**
 * Converts the checkpoints that diffusers' numbers were recorded for and compares every network of theirs with every
 * recording, in both formats and all precisions, converted as `convert` does and run and judged as `validate` does (which
 * would load a model anew for each recording). Prints a line for each comparison (the lowest PSNR of the outputs), the
 * lowest of each format and precision, and how many passed. A missing recording, network or recorded output counts as a
 * failure, and so does a recording that nothing was compared with.
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
import { type ConvertRequest, convert } from '../src/index.ts';
import { openChain } from '../src/run/chain.ts';
import { feedsFor, recordedOutputs } from '../src/run/feeds.ts';
import { judge } from '../src/validate/verdict.ts';
import { readTensors } from '../src/weights/read-tensors.ts';
import { type Recorded, recordedConversions } from './recordings/conversions.ts';
import { chosen, latentSize, tiled } from './recordings/tensors.ts';

const [shared, work, csv] = process.argv.slice(2);
if (!shared || !work) throw new Error('usage: node scripts/recorded-numbers.ts SHARED WORK [CSV]');
const goldens = join(shared, 'goldens');
const checkpoint = (...names: readonly string[]): string => join(shared, 'checkpoints', ...names);

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
const rest = recordedConversions.values();
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

/** All recordings of networks' outputs, without those of modules inside them and of a picture's resizing. */
function recordings(): string[] {
  const folders = new Set(
    recordedConversions.flatMap(({ networks }) => networks.map(([, name]) => dirname(name))),
  );
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
  const request = {
    ...recorded.request(checkpoint),
    ...form,
    sizes,
    models,
    output,
    bundle: false,
    force: true,
  };
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

function count(pass: boolean, ...texts: string[]): void {
  pass ? passed++ : failed++;
  console.log([pass ? 'ok  ' : 'FAIL', ...texts].join('  '));
}

/** A recording at the form's precision; none if it is missing, which counts as failed, or needs an input that the form lacks. */
async function referenceFor(
  { stored }: Recorded,
  { targets, precision }: Form,
  model: NetworkName,
  name: string,
): Promise<Reference[]> {
  const file = `${name}.safetensors`;
  const from = join(goldens, file);
  if (!existsSync(from)) {
    count(false, `${file} is missing`);
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
