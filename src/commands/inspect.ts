import { join } from 'node:path';
import { snapshotOf } from '../checkpoint/cache-folder.ts';
import { findWeightFile } from '../checkpoint/component-weights.ts';
import {
  type FromHub,
  refuseRevisionOnDisk,
  resolveRequested,
} from '../checkpoint/from-hub/locate-requested.ts';
import { namedOnHub } from '../checkpoint/from-hub/named-on-hub.ts';
import { type Context, throwIfInterrupted } from '../context.ts';
import {
  ConfigError,
  FileFormatError,
  NotFoundError,
  type SdConvertError,
  UnsupportedModelError,
} from '../errors.ts';
import { type LocatedArtifact, locateArtifact, openLocated } from '../formats/open.ts';
import { compatibleSchedulers, isSchedulerName, shortName } from '../generate/schedulers/scheduler-names.ts';
import { inspectArtifact } from '../inspect/inspect-artifact.ts';
import { findArtifacts, inspectArtifacts } from '../inspect/inspect-artifacts.ts';
import { inspectCheckpoint } from '../inspect/inspect-checkpoint.ts';
import { inspectOtherFile, inspectOtherFolder } from '../inspect/inspect-other.ts';
import { inspectPicture, isPicture } from '../inspect/inspect-picture.ts';
import { inspectWeights } from '../inspect/inspect-weights.ts';
import type { Inspection } from '../inspect/inspection.ts';
import { listFolder, openFile, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { sniff, weightFormat } from '../io/sniff.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsStay } from './in-output.ts';

export type { Inspection } from '../inspect/inspection.ts';

/** File or folder to inspect. */
export interface InspectRequest extends FromHub {
  /** A file or folder. */
  readonly path: string;
}

/**
 * Says what a file or folder is and what to do with it: a checkpoint, weights, an ONNX or Core ML model, a folder of
 * converted models, or something else. Reads only headers, so size does not matter, and of a conversion what is newer
 * than its record. Damaged and unsupported files are described, not thrown. Throws `NotFoundError` when the path does not exist, `RequestError` without permission to read it,
 * `OutputBusyError` while another run writes into the conversion,
 * and `InterruptedError`.
 *
 *     (await inspect({ path: 'stable-diffusion-v1-5' })).kind // 'checkpoint'
 */
export async function inspect(request: InspectRequest, context: Context = {}): Promise<Inspection> {
  checkRequest('inspect', request);
  throwIfInterrupted(context.signal);
  await refuseRevisionOnDisk(request, [request.path]);
  const model = await resolveRequested(request.path, request, { purpose: 'inspection', show: true }, context);
  if (!model) return whileOutputsStay([request.path], () => inspectPath(request.path, context));
  try {
    // The weights are not in the folder that it was read by.
    return namedOnHub(await inspectPath(model.path, context), model);
  } finally {
    await model.close();
  }
}

async function inspectPath(given: string, { signal }: Context): Promise<Inspection> {
  const path = await snapshotOf(given);
  const kind = await pathKind(path);
  if (kind === undefined) throw notFound(path, 'If it is on the Hub, write hf://org/name/….');
  try {
    const inspection = await (kind === 'folder' ? inspectFolder(path) : inspectFile(path));
    throwIfInterrupted(signal);
    return withCompatibles(inspection);
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

/** Adds the schedulers that can replace the one that was found. */
function withCompatibles(inspection: Inspection): Inspection {
  if (inspection.kind !== 'checkpoint' && inspection.kind !== 'artifacts') return inspection;
  const { scheduler } = inspection;
  if (!isSchedulerName(scheduler)) return inspection;
  return { ...inspection, compatibleSchedulers: compatibleSchedulers(scheduler).map(shortName) };
}

async function inspectFolder(path: string): Promise<Inspection> {
  const names = await listFolder(path);
  // A conversion's onnx folder has a model_index.json too.
  if (names.includes('model_index.json') && (await hasWeights(path, names))) return inspectCheckpoint(path);
  const located = await locateArtifact(path);
  if (located) return inspectLocated(located);
  const artifacts = await findArtifacts(path);
  if (artifacts.length > 0 || names.includes('sdconvert.json')) return inspectArtifacts(path, artifacts);
  if (names.includes('model_index.json')) return inspectCheckpoint(path);
  if (findWeightFile(names) || findWeightFile(names, 'fp16')) return inspectWeights(path);
  return inspectOtherFolder(path, names);
}

/** Whether a folder of the given names has a component with weights. */
async function hasWeights(path: string, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const folder = join(path, name);
    if ((await pathKind(folder)) === 'folder' && (await listFolder(folder)).some(isWeightFile)) return true;
  }
  return false;
}

function isWeightFile(name: string): boolean {
  return /\.(safetensors|ckpt|bin|pt|pth|gguf)$/.test(name);
}

async function inspectFile(path: string): Promise<Inspection> {
  const file = await openFile(path);
  const start = new Uint8Array(Math.min(file.size, 256));
  try {
    await file.read(start, 0);
  } finally {
    await file.close();
  }
  if (isPicture(start)) return inspectPicture(path);
  if (file.size > 0 && sniffsAsWeights(path, start)) return inspectWeights(path);
  const located = file.size > 0 && sniff(start) === undefined ? await locateArtifact(path) : undefined;
  return located ? inspectLocated(located) : inspectOtherFile(path, file.size, start);
}

async function inspectLocated(located: LocatedArtifact): Promise<Inspection> {
  const artifact = openLocated(located);
  // as: an artifact's facts are of its own format, which the types do not say.
  return inspectArtifact(artifact).finally(() => artifact.close()) as Promise<Inspection>;
}

/** Whether a file holds weights, by its first bytes; a truncated .safetensors is recognised by its name only. */
function sniffsAsWeights(path: string, start: Uint8Array): boolean {
  return weightFormat(start) !== undefined || (sniff(start) === undefined && path.endsWith('.safetensors'));
}

/** Whether an error describes the inspected file, rather than a failure to read it. */
function isFinding(error: unknown): error is SdConvertError {
  return [FileFormatError, UnsupportedModelError, ConfigError, NotFoundError].some(
    (kind) => error instanceof kind,
  );
}
