import { join, resolve } from 'node:path';
import {
  ConfigError,
  FileFormatError,
  NotFoundError,
  type SdConvertError,
  UnsupportedModelError,
} from '../errors.ts';
import { findWeightFile } from '../weights/component-weights.ts';
import { listFolder, openFile, pathKind } from '../weights/disk.ts';
import { sniff } from '../weights/sniff.ts';
import { findArtifacts, inspectArtifacts } from './inspect-artifacts.ts';
import { inspectCheckpoint } from './inspect-checkpoint.ts';
import { inspectCoreMl } from './inspect-core-ml.ts';
import { inspectOnnx } from './inspect-onnx.ts';
import { inspectOtherFile, inspectOtherFolder } from './inspect-other.ts';
import { inspectSafetensors } from './inspect-safetensors.ts';
import type { Inspection } from './inspection.ts';

export type { Inspection } from './inspection.ts';

/**
 * Says what a file or folder is and what to do with it: a checkpoint, weights, an ONNX or Core ML model, a folder of
 * converted models, or something else. Reads headers only, whatever the size. What is damaged or not supported is
 * described, not thrown; throws `NotFoundError` when nothing is there, and `RequestError` when it may not be read.
 *
 *     (await inspect('stable-diffusion-v1-5')).kind // 'checkpoint'
 */
export async function inspect(path: string): Promise<Inspection> {
  const kind = await pathKind(path);
  if (kind === undefined) {
    throw new NotFoundError({
      problem: `${path} does not exist.`,
      details: { 'looked for': resolve(path) },
      advice: 'Check the spelling of the path.',
    });
  }
  try {
    return await (kind === 'folder' ? inspectFolder(path) : inspectFile(path));
  } catch (error) {
    if (!isFinding(error)) throw error;
    const { problem, details, advice } = error;
    return {
      kind: 'other',
      path,
      problems: [problem],
      details,
      next: { advice: advice ?? 'Check that it is the right file.' },
    };
  }
}

async function inspectFolder(path: string): Promise<Inspection> {
  const names = await listFolder(path);
  if (names.includes('Manifest.json')) return inspectCoreMl('mlpackage', path);
  if (names.includes('coremldata.bin')) return inspectCoreMl('mlmodelc', path);
  // A converted folder has a model_index.json, too.
  if (names.includes('model_index.json') && (await hasWeights(path, names))) return inspectCheckpoint(path);
  if (names.includes('model.onnx')) return inspectOnnx(join(path, 'model.onnx'));
  const artifacts = await findArtifacts(path);
  if (artifacts.length > 0 || names.includes('sdconvert.json')) return inspectArtifacts(path, artifacts);
  if (names.includes('model_index.json')) return inspectCheckpoint(path);
  if (findWeightFile(names)) return inspectSafetensors(path);
  return inspectOtherFolder(path, names);
}

/** Whether a folder of the given names has a component with safetensors. */
async function hasWeights(path: string, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const folder = join(path, name);
    if ((await pathKind(folder)) === 'folder' && (await listFolder(folder)).some(isSafetensors)) return true;
  }
  return false;
}

async function inspectFile(path: string): Promise<Inspection> {
  const file = await openFile(path);
  const start = new Uint8Array(Math.min(file.size, 256));
  try {
    await file.read(start, 0);
  } finally {
    await file.close();
  }
  const isKnown = file.size > 0 && sniff(start) === undefined;
  if (isKnown && (isSafetensors(path) || beginsAsSafetensors(start, file.size)))
    return inspectSafetensors(path);
  if (isKnown && path.endsWith('.onnx')) return inspectOnnx(path);
  return inspectOtherFile(path, file.size, start);
}

function isSafetensors(name: string): boolean {
  return name.endsWith('.safetensors');
}

/** Whether a file begins with a length that it can have, and a JSON object behind it. */
function beginsAsSafetensors(start: Uint8Array, size: number): boolean {
  if (start.length < 9 || start[8] !== 0x7b /* { */) return false;
  return new DataView(start.buffer).getBigUint64(0, true) <= BigInt(size - 8);
}

/** Whether an error says what was found at the path, and not that looking failed. */
function isFinding(error: unknown): error is SdConvertError {
  return [FileFormatError, UnsupportedModelError, ConfigError, NotFoundError].some(
    (kind) => error instanceof kind,
  );
}
