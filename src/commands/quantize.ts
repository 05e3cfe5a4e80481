import { basename } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import { OutputExistsError, RequestError } from '../errors.ts';
import { totalBytes } from '../formats/artifact.ts';
import { withArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { createFolder, exists } from '../io/disk.ts';
import type { QuantizationPlan } from '../quantize/plan.ts';
import { reportWeight, type WeightReport } from '../quantize/quantized-weight.ts';
import { type OptionsOf, withDefaults } from './options.ts';

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

/** What `quantizeArtifact` does when nothing else is asked for. */
export const quantizeDefaults = { force: false } as const satisfies Partial<QuantizeRequest>;

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
 * byte for byte; the result appears when it is complete, the files beside an ONNX model stay. Throws `RequestError` when
 * the plan names none of the weights, `OutputExistsError`, `NotFoundError`, `InterruptedError`, `FileFormatError` for
 * weights that are not finite, and what reading and writing throw.
 */
export async function quantizeArtifact(
  options: QuantizeOptions,
  context: Context = {},
): Promise<QuantizeResult> {
  const { artifact, output, plan, force } = withDefaults<QuantizeRequest, typeof quantizeDefaults>(
    quantizeDefaults,
    options,
  );
  return withArtifact(artifact, async (stored) => {
    let candidates = 0;
    const { artifact: model, weights: quantized } = (await stored.open()).rewritten((weight) => {
      candidates++;
      return plan(weight);
    });
    const path = stored.place(output);
    if (output !== undefined && !force) await refuseExisting(path);
    const sizes = { bytesBefore: await stored.byteLength(), bytesAfter: totalBytes(model.files()) };
    if (quantized.length === 0) {
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
          total: sizes.bytesAfter,
          unit: 'bytes',
        } as const;
        context.onProgress?.({ type: 'progress', ...progress });
      });
      // One after another: some are read once more.
      for (const weight of quantized) weights.push(await reportWeight(weight));
      await stored.complete(growing, { inPlace: output === undefined });
      await forgetProvenance(path);
      await stored.close(); // before what it was read from is replaced
    });
    return { path, weights, ...sizes };
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
