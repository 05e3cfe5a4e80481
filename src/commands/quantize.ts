import { basename, dirname, join } from 'node:path';
import { type FromHub, locateRequested, refuseInCache } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import { RequestError } from '../errors.ts';
import { type OnBytes, type StoredArtifact, totalBytes } from '../formats/artifact.ts';
import { withArtifact } from '../formats/open.ts';
import { placeInOutput, recordOf } from '../formats/provenance.ts';
import { forgetProvenance } from '../formats/replaced-paths.ts';
import { writeFiles } from '../formats/write-files.ts';
import { createFolder } from '../io/create-folders.ts';
import { pathKind } from '../io/disk.ts';
import { realPlace } from '../io/real-place.ts';
import { undividedNote } from '../quantize/equal-groups.ts';
import type { QuantizationPlan } from '../quantize/plan.ts';
import { reportWeight, type WeightReport } from '../quantize/quantized-weight.ts';
import { formatBytes } from '../text.ts';
import { checkRequest } from './check-request.ts';
import { type Watched, whileOutputsLocked, whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { openRecord } from './quantized-record.ts';
import { refuseExisting } from './refuse-existing.ts';
import { refuseNested } from './refuse-nested.ts';

/** The model to quantise, and how. */
export interface QuantizeRequest extends FromHub {
  /** A `model.onnx` or its folder, a `.mlpackage`, or a `.mlmodelc`. */
  readonly artifact: string;
  /** Path of the result: a folder for ONNX, a `.mlpackage` for Core ML. Either this or `inPlace` is required. */
  readonly output?: string | undefined;
  /** Whether the result replaces the artifact; this cannot be undone. */
  readonly inPlace: boolean;
  /** How to store each weight; see `planQuantization`. */
  readonly plan: QuantizationPlan;
  /** Whether to replace an output that exists. */
  readonly force: boolean;
}

/** Defaults of `quantizeArtifact`. */
export const quantizeDefaults = { inPlace: false, force: false } as const satisfies Partial<QuantizeRequest>;

/** Options of `quantizeArtifact`; only `artifact` and `plan` are required. */
export type QuantizeOptions = OptionsOf<QuantizeRequest, typeof quantizeDefaults>;

/** The quantised model. */
export interface QuantizeResult {
  readonly path: string;
  /** Weights that were quantised by this call. */
  readonly weights: readonly WeightReport[];
  /** Size of the artifact's files, in bytes. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Quantises the weights of an existing model, from sdconvert or any other tool. Weights that are already quantised, and
 * everything else, are copied byte for byte; the result appears under its name when it is complete. In place, other files
 * in the folder of an ONNX model stay; in a conversion's output, the record is updated and a compiled model is compiled
 * again. Throws `RequestError` when neither `output` nor `inPlace` is given, when the plan selects none of the weights, and
 * while another run writes into the output; `OutputExistsError`, `NotFoundError`, `InterruptedError`, `FileFormatError` for
 * weights that are not finite, and what reading and writing throw.
 */
export async function quantizeArtifact(
  options: QuantizeOptions,
  context: Context = {},
): Promise<QuantizeResult> {
  checkRequest('quantize', options);
  const given = withDefaults<QuantizeRequest, typeof quantizeDefaults>(quantizeDefaults, options);
  refuseUnplaced(given);
  if (given.inPlace) await refuseInCache(given.artifact);
  const located = await locateRequested(given, { artifact: 'models' }, context);
  await noteUnlikeRecord([located.artifact], context);
  const request = given.inPlace ? { ...located, artifact: await withoutLinks(located.artifact) } : located;
  return withArtifact(request.artifact, async (stored) => {
    const path = stored.place(request.output);
    if (!request.inPlace) await refuseNested(stored, path);
    return whileOutputsLocked([path], () =>
      inStage('quantize', context, async () => {
        if (!request.inPlace) await refuseExisting(path, request);
        const output = await whileOutputsStay([request.artifact], (requireUnchanged) =>
          quantizeInto(path, stored, { ...request, requireUnchanged }, context),
        );
        const { bytesBefore, bytesAfter } = output;
        return { output, detail: `${path}, ${formatBytes(bytesBefore)} → ${formatBytes(bytesAfter)}` };
      }),
    );
  });
}

async function quantizeInto(
  path: string,
  stored: StoredArtifact,
  { artifact, plan, inPlace, requireUnchanged }: QuantizeRequest & Watched,
  context: Context,
): Promise<QuantizeResult> {
  let candidates = 0;
  const { artifact: model, weights: quantized } = (await stored.open()).rewritten((weight) => {
    candidates++;
    return plan(weight);
  });
  const sizes = { bytesBefore: await stored.byteLength(), bytesAfter: totalBytes(model.files()) };
  const record = await openRecord(path, context);
  if (quantized.length === 0) {
    if (candidates > 0) throw nothingChosen(artifact, candidates);
    const message = `${artifact} has no weights left to quantise: they are already quantised, or too small.`;
    context.onProgress?.({ type: 'note', message });
    if (inPlace) {
      await record.refresh(); // an earlier run may have been killed before it did so
      return { path, weights: [], ...sizes };
    }
  }
  const note = undividedNote(quantized);
  if (note !== undefined) context.onProgress?.({ type: 'note', message: note });
  const weights: WeightReport[] = [];
  const onBytes = progressOf(basename(path), sizes.bytesAfter, context);
  try {
    await createFolder(path, async (growing) => {
      const files = await writeFiles(growing, await model.contents(), onBytes);
      // One at a time: some weights are read again.
      for (const weight of quantized) weights.push(await reportWeight(weight));
      await stored.complete(growing, { inPlace });
      await requireUnchanged();
      await (inPlace ? record.rewrite(files, weights) : forgetProvenance(path));
      await stored.close(); // before its files are replaced
    });
  } catch (error) {
    if (inPlace) await record.restore();
    throw error;
  }
  await record.refresh();
  return { path, weights, ...sizes };
}

/** Reports bytes as they are written; throws when interrupted. */
function progressOf(what: string, total: number, { onProgress, signal }: Context): OnBytes {
  let done = 0;
  return (bytes) => {
    throwIfInterrupted(signal);
    done += bytes;
    onProgress?.({ type: 'progress', stage: 'quantize', what, done, total, unit: 'bytes' });
  };
}

/** Throws `RequestError` unless exactly one of `output` and `inPlace` is given. */
export function refuseUnplaced({ output, inPlace }: Pick<QuantizeRequest, 'output' | 'inPlace'>): void {
  if ((output !== undefined) !== inPlace) return;
  throw new RequestError(
    inPlace
      ? { problem: '--output and --in-place exclude each other.', advice: 'Pass only one of them.' }
      : {
          problem: 'the output of the quantised model is missing.',
          advice: 'Name an --output, or pass --in-place to replace the model itself, which cannot be undone.',
        },
  );
}

/**
 * The place of a model: its folder without links on its way, so that the model itself is replaced, and not a link to it. In a
 * conversion, links to folders elsewhere are a part of it.
 */
async function withoutLinks(artifact: string): Promise<string> {
  const isFolder = (await pathKind(artifact)) === 'folder';
  const folder = isFolder ? artifact : dirname(artifact);
  const place = await placeInOutput(folder);
  if (place && (await recordOf(place))) return artifact;
  return isFolder ? realPlace(folder) : join(await realPlace(folder), basename(artifact));
}

function nothingChosen(path: string, candidates: number): RequestError {
  return new RequestError({
    problem: `no weight of ${path} is selected, or none of the selected ones would become smaller.`,
    details: { 'can be quantised': `${candidates} weights` },
    advice: 'Check the names in --weights, --skip-weights or --recipe: those of a UNet match only a UNet.',
  });
}
