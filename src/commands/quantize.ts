import { basename, dirname, resolve } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputExistsError, RequestError } from '../errors.ts';
import { type OnBytes, type StoredArtifact, totalBytes } from '../formats/artifact.ts';
import { withArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { createFolder, exists } from '../io/disk.ts';
import type { QuantizationPlan } from '../quantize/plan.ts';
import { reportWeight, type WeightReport } from '../quantize/quantized-weight.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsLocked } from './in-output.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { openRecord } from './quantized-record.ts';

/** What to quantise, and how. */
export interface QuantizeRequest {
  /** A `model.onnx` or the folder it is in, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** Where the result goes: a folder for ONNX, a `.mlpackage` for Core ML. Either this or `inPlace` has to be given. */
  readonly output?: string | undefined;
  /** Whether the result takes the artifact's place, for good. */
  readonly inPlace: boolean;
  /** What each weight becomes, as `planQuantization` gives it. */
  readonly plan: QuantizationPlan;
  /** Whether to replace an output that exists. */
  readonly force: boolean;
}

/** What `quantizeArtifact` does when nothing else is asked for. */
export const quantizeDefaults = { inPlace: false, force: false } as const satisfies Partial<QuantizeRequest>;

/** Only `artifact` and `plan` are needed. */
export type QuantizeOptions = OptionsOf<QuantizeRequest, typeof quantizeDefaults>;

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
 * byte for byte; the result appears when it is complete. In place the files beside an ONNX model stay, and so that a
 * conversion's output still says what is in it, its record is brought up to date and what was compiled of the model is
 * compiled again. Throws `RequestError` when it is not said where the result goes, when the plan names none of the weights,
 * and while another run writes into the output, `OutputExistsError`, `NotFoundError`, `InterruptedError`, `FileFormatError`
 * for weights that are not finite, and what reading and writing throw.
 */
export async function quantizeArtifact(
  options: QuantizeOptions,
  context: Context = {},
): Promise<QuantizeResult> {
  checkRequest('quantize', options);
  const request = withDefaults<QuantizeRequest, typeof quantizeDefaults>(quantizeDefaults, options);
  refuseUnplaced(request);
  return withArtifact(request.artifact, async (stored) => {
    const path = stored.place(request.output);
    if (!request.inPlace) {
      refuseItself(stored, path);
      if (!request.force) await refuseExisting(path);
    }
    return whileOutputsLocked([path], () => quantizeInto(path, stored, request, context));
  });
}

async function quantizeInto(
  path: string,
  stored: StoredArtifact,
  { artifact, plan, inPlace }: QuantizeRequest,
  context: Context,
): Promise<QuantizeResult> {
  let candidates = 0;
  const { artifact: model, weights: quantized } = (await stored.open()).rewritten((weight) => {
    candidates++;
    return plan(weight);
  });
  const sizes = { bytesBefore: await stored.byteLength(), bytesAfter: totalBytes(model.files()) };
  const record = await openRecord(path);
  if (quantized.length === 0) {
    if (candidates > 0) throw nothingChosen(artifact, candidates);
    const message = `${artifact} has no weights left to quantise: they are quantised already, or too small.`;
    context.onProgress?.({ type: 'note', message });
    if (inPlace) {
      await record.refresh(context); // a run may have been killed before it did
      return { path, weights: [], ...sizes };
    }
  }
  const weights: WeightReport[] = [];
  const onBytes = progressOf(basename(path), sizes.bytesAfter, context);
  try {
    await createFolder(path, async (growing) => {
      const files = await model.write(growing, onBytes);
      // One after another: some are read once more.
      for (const weight of quantized) weights.push(await reportWeight(weight));
      await stored.complete(growing, { inPlace });
      await (inPlace ? record.rewrite(files, weights) : forgetProvenance(path));
      await stored.close(); // before what it was read from is replaced
    });
  } catch (error) {
    if (inPlace) await record.restore();
    throw error;
  }
  await record.refresh(context);
  return { path, weights, ...sizes };
}

/** Tells of bytes as they are written, and stops the work when it is interrupted. */
function progressOf(what: string, total: number, { onProgress, signal }: Context): OnBytes {
  let done = 0;
  return (bytes) => {
    throwIfInterrupted(signal);
    done += bytes;
    onProgress?.({ type: 'progress', stage: 'quantize', what, done, total, unit: 'bytes' });
  };
}

/** Throws `RequestError` unless exactly one of an output and the model's own place is named. */
export function refuseUnplaced({ output, inPlace }: Pick<QuantizeRequest, 'output' | 'inPlace'>): void {
  if ((output !== undefined) !== inPlace) return;
  throw new RequestError(
    inPlace
      ? { problem: '--output and --in-place exclude each other.', advice: 'Name one of them.' }
      : {
          problem: 'it is not said where the quantised model goes.',
          advice: 'Name an --output, or pass --in-place to replace the model itself, which cannot be undone.',
        },
  );
}

/** Throws `RequestError` when an output is where the model itself is. */
export function refuseItself({ format, path }: StoredArtifact, output: string): void {
  const own = format === 'onnx' ? dirname(resolve(path)) : resolve(path);
  if (resolve(output) !== own) return;
  throw new RequestError({
    problem: `--output ${output} is where the model itself is.`,
    advice: 'Name another, or pass --in-place instead, which cannot be undone.',
  });
}

/** Throws `OutputExistsError` when something is at the path. */
export async function refuseExisting(path: string): Promise<void> {
  if (!(await exists(path))) return;
  throw new OutputExistsError({ problem: `${path} exists already.`, advice: 'Pass --force to replace it.' });
}

function nothingChosen(path: string, candidates: number): RequestError {
  return new RequestError({
    problem: `none of the weights of ${path} are to be quantised, or none would become smaller.`,
    details: { 'could be': `${candidates} weights` },
    advice: 'Check the names in --weights, --skip-weights or --recipe: a UNet’s fit a UNet only.',
  });
}
