import { type FromHub, locateRequested } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage } from '../context.ts';
import { RequestError } from '../errors.ts';
import type { Format } from '../formats/format.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import { type ModelBorders, noteNonFinite } from '../formats/runner.ts';
import { openRunnableChain, type RunnableChain } from '../run/chain.ts';
import { feedsFor } from '../run/feeds.ts';
import { type FoundModel, formatOfModel, modelsToCompare } from '../run/find-models.ts';
import { BoundedRuns, type RunBounds } from '../validate/bounded-runs.ts';
import {
  type ComputedBy,
  computedExpectations,
  encodedPrompts,
  NotComparableError,
  recordedExpectations,
} from '../validate/expectations.ts';
import { openReference, type RecordedReference, type Reference } from '../validate/reference.ts';
import { inBrief, judge, type OutputVerdict, type Verdict } from '../validate/verdict.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { refuseRounding } from './refuse-rounding.ts';

/** Models to validate, and their reference. */
export interface ValidateRequest extends Floor, FromHub {
  /** A model, one of its chunks, or a folder of models. */
  readonly artifact: string;
  /** Recorded inputs and outputs (`.safetensors`), a model or a folder of models, or a checkpoint. */
  readonly reference: string;
}

/** Threshold that outputs must reach, and how models are run. */
export interface Floor extends RunBounds {
  /** The lowest PSNR in dB that passes. */
  readonly minPsnr: number;
  /** Core ML models: round to float16 after every operation declared float16, so that overflow shows. */
  readonly roundToFloat16?: boolean | undefined;
  /** Random inputs for each case that is computed; 1 when left out. */
  readonly seeds?: number | undefined;
}

/** Defaults of `validate`. */
export const validateDefaults = {
  minPsnr: 35,
  roundToFloat16: false,
} as const satisfies Partial<ValidateRequest>;

/** Options of `validate`; only `artifact` and `reference` are required. */
export type ValidateOptions = OptionsOf<ValidateRequest, typeof validateDefaults>;

/**
 * Runs models and compares every output with a reference, on its recorded inputs or on realistic ones. Returns a verdict
 * for each model, whether it passes or not. Throws `RequestError` when a model and its reference are different networks,
 * `NotFoundError` for a missing path, `OutputBusyError` while another run writes into their conversion, `InterruptedError`, and what opening and running models throws.
 *
 * @example await validate({ artifact: 'out/onnx', reference: 'checkpoints/sd15', minPsnr: 35 }) // [{ model: 'unet', pass: true, … }, …]
 */
export async function validate(options: ValidateOptions, context: Context = {}): Promise<Verdict[]> {
  checkRequest('validate', options);
  const given = withDefaults<ValidateRequest, typeof validateDefaults>(validateDefaults, options);
  await requireOnnxruntime();
  const request = await locateRequested(given, { artifact: 'models', reference: 'reference' }, context);
  const models = await modelsToCompare(request.artifact);
  await refuseRounding(
    request,
    models.flatMap(({ paths }) => paths),
  );
  await noteUnlikeRecord([request.artifact], context);
  const reference = await openReference(request.reference);
  try {
    if (reference.kind === 'recorded' && models.length > 1) throw whichModel(request, models);
    return await inStage('validate', context, async () => {
      const output = await whileOutputsStay([request.artifact, request.reference], () =>
        validateModels(models, reference, request, context),
      );
      return { output, detail: inBrief(output, request.minPsnr) };
    });
  } finally {
    await reference.close();
  }
}

/** Validates known models against an open reference, which stays open. */
export async function validateModels(
  models: readonly FoundModel[],
  reference: Reference,
  floor: Floor,
  context: Context,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const notCompared: NotComparableError[] = [];
  const runs = await BoundedRuns.open(floor, context);
  try {
    const by =
      reference.kind === 'recorded'
        ? reference
        : { reference, runs, prompts: once(() => encodedPrompts(reference, runs)), seeds: floor.seeds };
    for (const [done, model] of models.entries()) {
      const { name } = model;
      const progress = (text = '') => {
        const what = text === '' ? name : `${name}: ${text}`;
        context.onProgress?.({ type: 'progress', stage: 'validate', what, done, total: models.length });
      };
      progress();
      try {
        verdicts.push(await validateModel(model, { by, runs, progress }, floor, context));
      } catch (error) {
        if (!(error instanceof NotComparableError)) throw error;
        notCompared.push(error);
        context.onProgress?.({ type: 'note', message: `Not compared: ${error.problem} ${error.advice}` });
      }
    }
    const [first] = notCompared;
    if (first && verdicts.length === 0) throw first;
    return verdicts;
  } finally {
    await runs.close();
  }
}

/** The reference, what runs models, and who is told how far they are. */
interface Validation {
  readonly by: RecordedReference | ComputedBy;
  readonly runs: BoundedRuns;
  readonly progress: (text?: string) => void;
}

async function validateModel(
  model: FoundModel,
  validation: Validation,
  floor: Floor,
  context: Context,
): Promise<Verdict> {
  const { minPsnr, roundToFloat16 = false } = floor;
  const onNonFinite = noteNonFinite(context);
  const candidate = await openRunnableChain(model.paths, { roundToFloat16, onNonFinite });
  try {
    const format = await formatOfModel(model);
    const outputs = await compared({ ...model, format }, candidate, validation, minPsnr, context);
    const names = new Set(outputs.map((output) => output.name));
    const notCompared = candidate.outputs.map(({ name }) => name).filter((each) => !names.has(each));
    const { path } = pathOf(validation.by);
    if (names.size === 0) throw nothingInCommon(candidate, path);
    return {
      model: model.name,
      paths: model.paths,
      format,
      floor: minPsnr,
      reference: path,
      outputs,
      notCompared,
      pass: outputs.every(({ pass }) => pass),
    };
  } finally {
    await candidate.close();
  }
}

function pathOf(by: Validation['by']): { readonly path: string } {
  return 'tensors' in by ? by : by.reference;
}

/**
 * Compares each output for each case of inputs. Nothing is optimised, so that the weights stay on the disk; the numbers are
 * the same either way. On a CPU, onnxruntime computes float16 models in float32, so a float16 overflow does not show; for
 * Core ML models it does, with `roundToFloat16`.
 */
async function compared(
  model: FoundModel & { readonly format: Format },
  candidate: RunnableChain,
  { by, runs, progress }: Validation,
  minPsnr: number,
  context: Context,
): Promise<OutputVerdict[]> {
  const expectations =
    'tensors' in by
      ? recordedExpectations(candidate, by)
      : await computedExpectations(model, candidate, by, context);
  try {
    const feeds = expectations.cases.map(({ tensors }) => feedsFor(candidate, tensors));
    const run = { what: 'the artifact', plan: await runs.plan(candidate, feeds) };
    await runs.announce(model.name, [...expectations.runs, run]);
    const expected = await expectations.compute(progress);
    const found = await runs.run(run, progress);
    return expectations.cases.flatMap(({ name: inputs }, at) => {
      const { expected: wanted = new Map(), float32 } = expected[at] ?? {};
      return judge(wanted, found[at] ?? new Map(), { inputs, minPsnr, float32 });
    });
  } finally {
    await expectations.close();
  }
}

/** Computes a value on first use, once. */
function once<T>(compute: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= compute();
    return result;
  };
}

function whichModel({ artifact, reference }: ValidateRequest, models: readonly FoundModel[]): RequestError {
  return new RequestError({
    problem: `${artifact} contains ${models.length} models, but ${reference} is a recording of one.`,
    details: { 'it contains': models.map(({ name }) => name).join(', ') },
    advice: 'Name the folder of the model that was recorded.',
  });
}

function nothingInCommon(model: ModelBorders, reference: string): RequestError {
  return new RequestError({
    problem: `${reference} has none of the outputs of ${model.path}.`,
    details: { expected: model.outputs.map(({ name }) => name).join(', ') },
    advice: 'Compare with a reference of the same component.',
  });
}
