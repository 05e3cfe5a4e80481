import { basename, dirname, join, parse } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputExistsError, RequestError } from '../errors.ts';
import { openMlModelC } from '../formats/coreml/compiled/read-bundle.ts';
import type { MilModel } from '../formats/coreml/mil/mil-model.ts';
import { packageFiles, writePackageFiles } from '../formats/coreml/package/package.ts';
import { openMlPackage } from '../formats/coreml/package/read-package.ts';
import { streamedModel } from '../formats/coreml/package/streamed-model.ts';
import { quantizeMil } from '../formats/coreml/quantize/quantize-mil.ts';
import { locateModel } from '../formats/locate-model.ts';
import { quantizeOnnx } from '../formats/onnx/quantize-onnx.ts';
import { openOnnx } from '../formats/onnx/read-onnx.ts';
import { plannedFiles, writeOnnx } from '../formats/onnx/write-onnx.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { createFolder, exists, linkFile, listFolder, lookAtFile, pathKind } from '../io/disk.ts';
import { copyConfigFile } from '../io/strict-json.ts';
import type { QuantizationPlan } from '../quantize/plan.ts';
import { type QuantizedWeight, reportWeight, type WeightReport } from '../quantize/quantized-weight.ts';

/** What to quantise, and how. */
export interface QuantizeRequest {
  /** A `model.onnx` or the folder it is in, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** Where the result goes: a folder for ONNX, a `.mlpackage` for Core ML; in the artifact's place when left out. */
  readonly output?: string | undefined;
  /** What each weight becomes, as `planQuantization` gives it. */
  readonly plan: QuantizationPlan;
  /** Whether to replace an output that exists. */
  readonly force: boolean;
}

/** What was quantised. */
export interface QuantizeResult {
  readonly path: string;
  /** The weights that are quantised now and were not before. */
  readonly weights: readonly WeightReport[];
  /** Bytes of the artifact's files. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Quantises the weights of an existing model, ours or anybody's. Weights that are quantised already and all else are copied
 * byte for byte; the result appears when it is complete, the files beside an ONNX model stay. Throws `RequestError` when
 * the plan names none of the weights, `OutputExistsError`, `NotFoundError`, `InterruptedError`, `FileFormatError` for
 * weights that are not finite, and what reading and writing throw.
 */
export async function quantizeArtifact(
  { artifact, output, plan, force }: QuantizeRequest,
  context: Context = {},
): Promise<QuantizeResult> {
  let candidates = 0;
  const model = await open(artifact, (weight) => {
    candidates++;
    return plan(weight);
  });
  try {
    const path = output === undefined ? model.place : model.placeFor(output);
    if (path === undefined) throw noPlace(artifact);
    if (output !== undefined && !force) await refuseExisting(path);
    const sizes = { bytesBefore: model.bytesBefore, bytesAfter: model.bytesAfter };
    if (model.weights.length === 0) {
      if (candidates > 0) throw nothingChosen(artifact, candidates);
      const message = `${artifact} has no weights left to quantise: they are quantised already, or too small.`;
      context.onProgress?.({ type: 'note', message });
      if (output === undefined) return { path, weights: [], ...sizes };
    }
    let done = 0;
    const weights: WeightReport[] = [];
    await createFolder(path, async (growing) => {
      await model.write(growing, (bytes) => {
        throwIfInterrupted(context.signal);
        done += bytes;
        const progress = {
          stage: 'quantize',
          what: basename(path),
          done,
          total: model.bytesAfter,
          unit: 'bytes',
        } as const;
        context.onProgress?.({ type: 'progress', ...progress });
      });
      // One after another: some are read once more.
      for (const weight of model.weights) weights.push(await reportWeight(weight));
      await model.complete(growing, output === undefined);
      await forgetProvenance(path);
      await model.close();
    });
    return { path, weights, ...sizes };
  } finally {
    await model.close();
  }
}

/** The folder that the output of a quantised ONNX model stands for. */
export function onnxFolder(output: string): string {
  return basename(output) === 'model.onnx' ? dirname(output) : output;
}

/** Throws `OutputExistsError` when something is at the path. */
export async function refuseExisting(path: string): Promise<void> {
  if (!(await exists(path))) return;
  throw new OutputExistsError({ problem: `${path} exists already.`, advice: 'Pass --force to replace it.' });
}

/** A model that is open, and what it becomes. */
interface Quantizable {
  /** The folder that it is; `undefined` where its kind is not written. */
  readonly place: string | undefined;
  /** The folder that an output stands for. */
  placeFor(output: string): string;
  readonly weights: readonly QuantizedWeight[];
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  write(folder: string, onBytes: (count: number) => void): Promise<unknown>;
  /** Brings what lies beside the model into a folder: all of it where that takes the model's place, else its config. */
  complete(folder: string, inPlace: boolean): Promise<void>;
  close(): Promise<void>;
}

async function open(path: string, plan: QuantizationPlan): Promise<Quantizable> {
  const model = await locateModel(path);
  if (model.kind === 'onnx') return openOnnxModel(model.path, plan);
  if (model.kind === 'mlpackage') return openMil(path, await openMlPackage(path), plan);
  return { ...(await openMil(path, await openMlModelC(path), plan)), place: undefined };
}

async function openOnnxModel(file: string, plan: QuantizationPlan): Promise<Quantizable> {
  const model = await openOnnx(file);
  return closingOnError(model, async () => {
    const { model: quantized, weights } = quantizeOnnx(model, plan);
    const folder = dirname(file);
    return {
      place: basename(file) === 'model.onnx' ? folder : undefined,
      placeFor: onnxFolder,
      weights,
      bytesBefore: totalSize(plannedFiles(model)),
      bytesAfter: totalSize(plannedFiles(quantized)),
      write: (into, onBytes) => writeOnnx(quantized, into, onBytes),
      async complete(into, inPlace) {
        const config = join(folder, 'config.json');
        if (!inPlace) {
          if (await exists(config)) await copyConfigFile(config, join(into, 'config.json'));
          return;
        }
        const isAlone = (await listFolder(folder)).filter((name) => name.endsWith('.onnx')).length === 1;
        const replaced = isAlone ? model.dataFiles.map(({ location }) => location) : [];
        await linkFolder(folder, into, new Set(['model.onnx', ...replaced]));
      },
      close: () => model.close(),
    };
  });
}

async function openMil(path: string, model: MilModel, plan: QuantizationPlan): Promise<Quantizable> {
  return closingOnError(model, async () => {
    const { model: quantized, weights } = quantizeMil(streamedModel(model), path, plan);
    return {
      place: path,
      placeFor(output) {
        if (parse(output).ext === '.mlpackage') return output;
        throw new RequestError({
          problem: `${output} is not the name of a Core ML package.`,
          advice: 'Let it end in .mlpackage.',
        });
      },
      weights,
      bytesBefore: await folderSize(path),
      bytesAfter: totalSize(packageFiles(quantized)),
      write: (into, onBytes) => writePackageFiles(into, quantized, onBytes),
      async complete() {},
      close: () => model.close(),
    };
  });
}

async function closingOnError<T>(model: { close(): Promise<void> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Gives all files of a folder a second name in another, except those that are there or are not wanted. */
async function linkFolder(
  from: string,
  to: string,
  unwanted: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const name of await listFolder(from)) {
    const [path, target] = [join(from, name), join(to, name)];
    if (unwanted.has(name) || (await exists(target))) continue;
    if ((await pathKind(path)) === 'folder') await linkFolder(path, target);
    else await linkFile(path, target);
  }
}

async function folderSize(folder: string): Promise<number> {
  let sum = 0;
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    if ((await pathKind(path)) === 'folder') sum += await folderSize(path);
    else sum += (await lookAtFile(path))?.size ?? 0;
  }
  return sum;
}

function totalSize(files: readonly { readonly byteLength: number }[]): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function noPlace(path: string): RequestError {
  const isCompiled = parse(path).ext === '.mlmodelc';
  return new RequestError({
    problem: `${path} cannot be quantised in its place${isCompiled ? ': compiled models are not written' : ': only what is called model.onnx can'}.`,
    advice: isCompiled
      ? 'Name an --output that ends in .mlpackage, and compile it (sdconvert compile).'
      : 'Name an --output folder; the model will be its model.onnx.',
  });
}

function nothingChosen(path: string, candidates: number): RequestError {
  return new RequestError({
    problem: `none of the weights of ${path} are to be quantised, or none would become smaller.`,
    details: { 'could be': `${candidates} weights` },
    advice: 'Check the names in --weights, --skip-weights or --recipe: a UNet’s fit a UNet only.',
  });
}
