/**
 * Writes what `test/python/check_coreai.py` runs in Apple's own runtime: for each network that diffusers' numbers were recorded
 * for a Core AI asset in float32, with recorded inputs, recorded outputs and those that our own `run` gives of the asset; and
 * networks in fewer bits and small ones, for which only our own outputs are there. One UNet is in float16, too. And weights in every
 * form, expanded, which must be ours bit for bit.
 *
 *     node scripts/coreai-cases.ts OUT [SHARED]
 *
 * OUT/NAME/network.aimodel and OUT/NAME/case*.safetensors with `input:NAME`, `recorded:NAME` and `own:NAME`; their metadata has
 * the lowest PSNR in dB that passes, by the kind of outputs, and of a UNet the place of a byte that counts. SHARED holds
 * `checkpoints/` and `goldens/` beside those of the project.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { locateModels } from '../src/checkpoint/from-hub/locate-models.ts';
import { openModels } from '../src/checkpoint/open-models.ts';
import { optimumContract } from '../src/convert/contracts/optimum.ts';
import { convert, type Model } from '../src/convert/convert.ts';
import type { NetworkName } from '../src/convert/networks/networks.ts';
import type { FileContents } from '../src/formats/artifact.ts';
import { coreAiContract } from '../src/formats/coreai/contract/coreai-contract.ts';
import { buildProgram } from '../src/formats/coreai/lower/build-program.ts';
import { coreAiModel } from '../src/formats/coreai/model.ts';
import { buildOnnxModel } from '../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../src/formats/onnx/write-onnx.ts';
import type { Runner, TensorMap } from '../src/formats/runner.ts';
import { writeFiles } from '../src/formats/write-files.ts';
import type { Graph } from '../src/graph/graph.ts';
import type { ConvertOptions } from '../src/index.ts';
import { planQuantization, type QuantizationOptions } from '../src/quantize/plan.ts';
import { withPrecision } from '../src/quantize/precision.ts';
import { feedsFor, recordedOutputs } from '../src/run/feeds.ts';
import { openRunner } from '../src/run/open-runner.ts';
import { compare } from '../src/validate/psnr.ts';
import { readTensors } from '../src/weights/read-tensors.ts';
import { writeSafetensors } from '../src/weights/safetensors-writer.ts';
import { expandedFeeds, expandedWeights } from '../test/formats/coreai/expanded-weights.ts';
import { type SmallForm, smallAsset, smallForms } from '../test/formats/coreai/small-assets.ts';
import { smallFeeds } from '../test/quantize/small-network.ts';
import { makeRandomWeights } from '../test/support/random-weights.ts';
import { type Recorded, recordedConversions } from './recordings/conversions.ts';
import { chosen, firstRows, latentSize, tiled } from './recordings/tensors.ts';

const [out, shared] = process.argv.slice(2);
if (!out) throw new Error('usage: node scripts/coreai-cases.ts OUT [SHARED]');
const root = join(import.meta.dirname, '..');

/** The lowest PSNR in dB against what diffusers computed, and against our own run: the same arithmetic in float32. */
const FLOOR = 115;

/** The same in float16, which Apple's runtime computes in, and our own only stores: numbers are rounded by up to 2⁻¹¹ a few times. */
const HALF = 55;

/**
 * The same of the UNet of `checkpoints/sd15` against diffusers: what Apple's exporter (coreai-torch 0.4.3) makes of it is 56.8 dB from
 * it in the same runtime, whose products of matrices are summed in float16, and an asset may be a decibel below. Measured: 57.6.
 */
const HALF_UNET = 55.8;

const ASSET = 'network.aimodel';

/**
 * Networks that are told sizes take sines of numbers up to 1000, and the arithmetic of float32 differs in them, between diffusers,
 * onnxruntime and Apple's runtime: our ONNX is 110 to 113 dB from the recordings. At most this much further may an asset be.
 */
const FURTHER = 1;

/** A network and its recordings. */
type Network = Recorded['networks'][number];

/** A checkpoint of the project, or beside it, and where its recordings are. */
interface Source extends Pick<Recorded, 'title' | 'stored'> {
  readonly options: ConvertOptions;
  readonly goldens: string;
  readonly networks: readonly Network[];
}

/** The project's own. */
const own: Source = {
  title: 'sd-shapes',
  options: { modelVersion: join(root, 'models/sd-shapes') },
  stored: 'float32',
  goldens: join(root, 'test/goldens/sd-shapes'),
  networks: [
    ['text_encoder', 'text_encoder', 1],
    ['unet', 'unet.t501', 1],
    ['vae_decoder', 'vae_decoder', 1],
    ['vae_encoder', 'vae_encoder', 1],
  ],
};

/** The forms of weights that Core AI has. */
const forms: Readonly<Record<string, QuantizationOptions>> = {
  'palette 4': { bits: 4 },
  'palette 6 in groups': { bits: 6, groupSize: 16 },
  'linear 8': { bits: 8, mode: 'linear-symmetric' },
  'linear 4 in blocks': { bits: 4, mode: 'linear', groupSize: 32 },
};

await makeRandomWeights();
for (const form of Object.keys(smallForms) as SmallForm[]) await writeSmall(form); // as: keys of the table
for (const dtype of ['f16', 'f32'] as const) await writeExpanded(dtype);
for (const source of [own, ...sharedSources()]) await writeSource(source);

function sharedSources(): Source[] {
  if (!shared || !existsSync(join(shared, 'goldens'))) return [];
  const at = (...names: readonly string[]): string => join(shared, 'checkpoints', ...names);
  return recordedConversions.map(({ title, stored, request, networks }) => ({
    title,
    stored,
    options: request(at),
    goldens: join(shared, 'goldens'),
    networks,
  }));
}

async function writeSource(source: Source): Promise<void> {
  const { options } = source;
  const checkpoint = await openModels(options, await locateModels(options, {}, {}), {});
  try {
    for (const network of source.networks) {
      const [model, name] = network;
      const tensors = await recordingOf(source, name);
      const [latentHeight, latentWidth] = latentSize(tensors);
      const how = { attention: 'ORIGINAL', models: [model] } as const;
      const sizes = { latentHeight, latentWidth };
      const [built] = convert(checkpoint, { ...how, contract: coreAiContract, sizes });
      const [plain] = convert(checkpoint, { ...how, contract: optimumContract, sizes: {} });
      if (!built || !plain) throw new Error(`${model} was not built`);
      await writeNetwork(source, network, { built, plain, tensors });
    }
  } finally {
    await checkpoint.close();
  }
}

/** Writes a small network, whose bytes `test/formats/coreai/written-bytes.test.ts` knows. */
async function writeSmall(form: SmallForm): Promise<void> {
  const folder = join(out ?? '', `small ${form}`.replaceAll(/\W+/g, '-'));
  const path = join(folder, ASSET);
  await writeFiles(path, await smallAsset(form).contents(), () => {});
  const runner = await openRunner(path, { optimize: false });
  const feeds = new Map(Object.entries(smallFeeds));
  const floor = smallForms[form].precision === 'float16' ? String(HALF) : String(FLOOR);
  await writeCase(join(folder, 'case0.safetensors'), runner, feeds, { own: floor }).finally(() =>
    runner.close(),
  );
}

/** Writes a program that gives weights as they are expanded. */
async function writeExpanded(dtype: 'f16' | 'f32'): Promise<void> {
  const folder = join(out ?? '', `expanded-weights-${dtype}`);
  const path = join(folder, ASSET);
  const weights = coreAiModel({ program: expandedWeights(dtype), metadata: {} }, { whole: 'weights' });
  await writeFiles(path, await weights.contents(), () => {});
  const runner = await openRunner(path, { optimize: false });
  const feeds = new Map(Object.entries(expandedFeeds));
  await writeCase(join(folder, 'case0.safetensors'), runner, feeds, { own: 'Infinity' }).finally(() =>
    runner.close(),
  );
}

/** A network in Core AI's contract and in ONNX's, and the first recording of it. */
interface Case {
  readonly built: Model;
  readonly plain: Model;
  readonly tensors: TensorMap;
}

async function writeNetwork(source: Source, [model, name, count]: Network, { built, plain, tensors }: Case) {
  const folder = folderOf(source, model);
  const { path, weightAt } = await writeAsset(built.graph, model, folder);
  const runner = await openRunner(path, { optimize: false });
  try {
    for (let at = 0; at < count; at++) {
      const recording = at === 0 ? tensors : await recordingOf(source, `${name}.case${at}`);
      // An asset has one size.
      if (`${latentSize(recording)}` !== `${latentSize(tensors)}`) continue;
      const floor = recording.has('time_ids') ? await floorOf(plain.graph, recording, folder) : FLOOR;
      const floors = { recorded: floor.toFixed(1), own: floor.toFixed(1) };
      const rows = firstRows(recording, Number(runner.inputs[0]?.dims[0]));
      const metadata = weightAt === undefined ? floors : { ...floors, weightAt };
      await writeCase(join(folder, `case${at}.safetensors`), runner, rows, metadata);
    }
  } finally {
    await runner.close();
  }
  if (source === own && model === 'text_encoder') await writeQuantized(built.graph, model, tensors);
  if (source.title === 'sd15' && model === 'unet') await writeHalf(built.graph, tensors);
}

/** Writes a UNet in float16. */
async function writeHalf(graph: Graph, tensors: TensorMap): Promise<void> {
  const folder = folderOf({ title: 'sd15 float16' }, 'unet');
  const { path } = await writeAsset(withPrecision(graph, 'float16'), 'unet', folder);
  const runner = await openRunner(path, { optimize: false });
  const floors = { recorded: String(HALF_UNET), own: String(HALF) };
  await writeCase(join(folder, 'case0.safetensors'), runner, tensors, floors).finally(() => runner.close());
}

/** Writes a network with its weights in fewer bits: the convolutions of `writeSmall` have them, too. */
async function writeQuantized(graph: Graph, model: NetworkName, tensors: TensorMap): Promise<void> {
  for (const [form, quantization] of Object.entries(forms)) {
    const folder = folderOf({ title: `${own.title} ${form}` }, model);
    const { path } = await writeAsset(graph, model, folder, quantization);
    const runner = await openRunner(path, { optimize: false });
    const rows = firstRows(tensors, Number(runner.inputs[0]?.dims[0]));
    await writeCase(join(folder, 'case0.safetensors'), runner, rows).finally(() => runner.close());
  }
}

function folderOf({ title }: Pick<Source, 'title'>, model: NetworkName): string {
  return join(out ?? '', `${title} ${model}`.replaceAll(/\W+/g, '-'));
}

async function recordingOf({ goldens, stored }: Source, name: string): Promise<TensorMap> {
  const tensors = chosen(
    await readTensors(join(goldens, `${name}.safetensors`)),
    stored === 'float16' ? '_w16' : '',
  );
  for (const picture of ['images', 'filtered_images'])
    if (tensors.has(picture)) tensors.set(picture, tiled(tensors.get(picture)));
  return tensors;
}

/** Writes an asset; gives its path, and of a UNet the place of the last byte of a float32 that counts. */
async function writeAsset(
  graph: Graph,
  model: NetworkName,
  folder: string,
  quantization?: QuantizationOptions,
): Promise<WrittenAsset> {
  const whole = coreAiModel({ program: buildProgram(graph), metadata: {} }, { network: model, whole: model });
  const artifact = quantization ? whole.rewritten(planQuantization(quantization)).artifact : whole;
  const path = join(folder, ASSET);
  const contents = await artifact.contents();
  await writeFiles(path, contents, () => {});
  return { path, weightAt: signOfOneWeight(contents) };
}

/** Writes inputs, our own outputs and, where there is a floor for them, the recorded ones. */
async function writeCase(
  path: string,
  runner: Runner,
  recording: TensorMap,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const feeds = feedsFor(runner, recording);
  const found = await runner.run(feeds);
  const recorded = metadata.recorded === undefined ? new Map() : recordedOutputs(runner, recording);
  const groups = { input: feeds, own: found, recorded };
  const all = Object.entries(groups).flatMap(([kind, map]) =>
    [...map].map(([name, tensor]) => ({ name: `${kind}:${name}`, ...tensor })),
  );
  await writeSafetensors(path, all, { own: String(FLOOR), ...metadata });
}

/** An asset on the disk. */
interface WrittenAsset {
  readonly path: string;
  readonly weightAt: string | undefined;
}

/** The middle of the first kernel of a UNet's last layer: of deeper ones, small pictures read some numbers only times zero. */
function signOfOneWeight([program]: readonly FileContents[]): string | undefined {
  const last = program?.parts.find(({ tensor }) => tensor.name === 'conv_out.weight');
  return last && String(last.offset + 4 * 4 + 3);
}

/** The floor of a network whose recordings themselves are not exact, by our ONNX. */
async function floorOf(graph: Graph, tensors: TensorMap, folder: string): Promise<number> {
  const path = join(folder, 'onnx');
  await writeOnnx(buildOnnxModel(graph, {}), path, () => {});
  const runner = await openRunner(path, { optimize: false });
  try {
    const found = await runner.run(feedsFor(runner, tensors));
    const all = [...recordedOutputs(runner, tensors)].map(([name, expected]) => {
      const tensor = found.get(name);
      if (!tensor) throw new Error(`${name} was not computed`);
      return compare(expected, tensor).psnr;
    });
    return Math.min(FLOOR, ...all.map((psnr) => psnr - FURTHER));
  } finally {
    await runner.close();
  }
}
