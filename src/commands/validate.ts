import { type FromHub, locateRequested } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, throwIfInterrupted } from '../context.ts';
import type { EncodedPrompts } from '../convert/networks/realistic.ts';
import { RequestError, UnsupportedModelError } from '../errors.ts';
import type { Format } from '../formats/format.ts';
import { requireOnnxruntime } from '../formats/onnx/onnx-session.ts';
import { withArtifact } from '../formats/open.ts';
import {
  type ModelBorders,
  noteNonFinite,
  type Runner,
  type RunnerOptions,
  type TensorMap,
} from '../formats/runner.ts';
import type { StoredForm, StoredForms } from '../quantize/stored-form.ts';
import { openChain } from '../run/chain.ts';
import { feedsFor, recordedOutputs } from '../run/feeds.ts';
import { type FoundModel, findModels, formatOfModel, modelsInResources } from '../run/find-models.ts';
import { networkCalled } from '../run/network-called.ts';
import { findSynonym, networkOf } from '../run/tensor-names.ts';
import { readModelSettings } from '../validate/model-settings.ts';
import { inputSizes, realisticCases } from '../validate/realistic-inputs.ts';
import { openReference, type Reference, type RunnableReference } from '../validate/reference.ts';
import { judge, type OutputVerdict, type Verdict } from '../validate/verdict.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { numbersOf } from '../weights/tensor-values.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** Models to validate, and their reference. */
export interface ValidateRequest extends Floor, FromHub {
  /** A model, one of its chunks, or a folder of models. */
  readonly artifact: string;
  /** Recorded inputs and outputs (`.safetensors`), a model or a folder of models, or a checkpoint. */
  readonly reference: string;
}

/** Threshold that outputs must reach, and how models are run. */
export interface Floor {
  /** The lowest PSNR in dB that passes. */
  readonly minPsnr: number;
  /** Core ML models: round to float16 after every operation declared float16, so that overflow shows. */
  readonly roundToFloat16?: boolean | undefined;
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
 * `NotFoundError` for a missing path, `InterruptedError`, and what opening and running models throws.
 *
 * @example await validate({ artifact: 'out/onnx', reference: 'checkpoints/sd15', minPsnr: 35 }) // [{ model: 'unet', pass: true, … }, …]
 */
export async function validate(options: ValidateOptions, context: Context = {}): Promise<Verdict[]> {
  checkRequest('validate', options);
  const given = withDefaults<ValidateRequest, typeof validateDefaults>(validateDefaults, options);
  await requireOnnxruntime();
  const request = await locateRequested(given, { artifact: 'models', reference: 'reference' }, context);
  const models = [...(await findModels(request.artifact)), ...(await modelsInResources(request.artifact))];
  const reference = await openReference(request.reference, context);
  try {
    if (reference.kind === 'recorded' && models.length > 1) throw whichModel(request, models);
    return await validateModels(models, reference, request, context);
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
  const encoded = reference.kind === 'runnable' ? once(() => encodedPrompts(reference)) : undefined;
  for (const [done, model] of models.entries()) {
    const { name: what } = model;
    context.onProgress?.({ type: 'progress', stage: 'validate', what, done, total: models.length });
    const verdict = await withChain(
      model.paths,
      (runner) => validateModel(model, runner, { reference, encoded }, floor, context),
      { roundToFloat16: floor.roundToFloat16 ?? false, onNonFinite: noteNonFinite(context) },
    );
    verdicts.push(verdict);
  }
  return verdicts;
}

async function validateModel(
  model: FoundModel,
  candidate: Runner,
  { reference, encoded }: { readonly reference: Reference; readonly encoded: Encoded | undefined },
  { minPsnr }: Floor,
  context: Context,
): Promise<Verdict> {
  const { name, paths } = model;
  const { signal } = context;
  const format = await formatOfModel(model);
  const expectations =
    reference.kind === 'recorded'
      ? recordedExpectations(candidate, reference.tensors)
      : await computedExpectations({ ...model, format }, candidate, { reference, encoded }, context);
  const outputs: OutputVerdict[] = [];
  for (const { inputs, tensors, expected, float32 } of expectations) {
    throwIfInterrupted(signal);
    const feeds = feedsFor(candidate, tensors);
    const found = await candidate.run(feeds);
    outputs.push(...judge(expected, found, { inputs, minPsnr, float32 }));
  }
  const compared = new Set(outputs.map((output) => output.name));
  const notCompared = candidate.outputs.map((output) => output.name).filter((each) => !compared.has(each));
  if (compared.size === 0) throw nothingInCommon(candidate, reference.path);
  return {
    model: name,
    paths,
    format,
    floor: minPsnr,
    reference: reference.path,
    outputs,
    notCompared,
    pass: outputs.every(({ pass }) => pass),
  };
}

/** Inputs, and the reference's outputs for them under the candidate's output names. */
interface Expectation {
  /** Label of the inputs: `timestep 981`. */
  readonly inputs: string;
  readonly tensors: TensorMap;
  readonly expected: TensorMap;
  /** What it gives in float32, where `expected` is from weights with the candidate's few bits. */
  readonly float32?: TensorMap;
}

function recordedExpectations(candidate: Runner, tensors: TensorMap): Expectation[] {
  return [{ inputs: 'recorded', tensors, expected: recordedOutputs(candidate, tensors) }];
}

async function computedExpectations(
  model: FoundModel & { readonly format: Format },
  candidate: Runner,
  { reference, encoded }: { readonly reference: RunnableReference; readonly encoded: Encoded | undefined },
  context: Context,
): Promise<readonly Expectation[]> {
  const { name, root, format, paths } = model;
  const form = networkOf(candidate.inputs.map((input) => input.name));
  if (!form) throw unknownNetwork(candidate);
  const wanted = { name, network: networkCalled(name, form), format };
  const outputsFor = async (other: Runner, tensors: TensorMap): Promise<TensorMap> => {
    throwIfInterrupted(context.signal);
    return recordedOutputs(candidate, await other.run(feedsFor(other, tensors)));
  };
  const inFloat32 = await reference.withModel(wanted, (places) =>
    withChain(places, async (other) => {
      if (networkOf(other.inputs.map((input) => input.name)) !== form) throw otherNetwork(candidate, other);
      const settings = { ...(await readModelSettings(root)), ...reference.settings };
      const sizes = inputSizes(form, settings, [candidate, other]);
      const seesText = candidate.inputs.some((input) => input.name === 'encoder_hidden_states');
      const prompts = seesText ? await encoded?.() : undefined;
      const expectations: Expectation[] = [];
      for (const { name: inputs, tensors } of realisticCases(form, sizes, settings, prompts))
        expectations.push({ inputs, tensors, expected: await outputsFor(other, tensors) });
      return expectations;
    }),
  );
  const forms = await storedForms(paths);
  if (forms.size === 0 || !reference.withQuantized) return inFloat32;
  const withFewerBits = await reference.withQuantized(wanted, forms, (places) =>
    withChain(places, async (other) => {
      const expectations: Expectation[] = [];
      for (const each of inFloat32)
        expectations.push({
          ...each,
          expected: await outputsFor(other, each.tensors),
          float32: each.expected,
        });
      return expectations;
    }),
  );
  if (withFewerBits) return withFewerBits;
  const message = `${name}: some of its quantised weights are none of ${reference.path}, so it is judged against float32.`;
  context.onProgress?.({ type: 'note', message });
  return inFloat32;
}

/** The forms of the quantised weights of a model, all chunks together. */
async function storedForms(paths: readonly string[]): Promise<StoredForms> {
  const forms: (readonly [string, StoredForm])[] = [];
  for (const path of paths) forms.push(...(await withArtifact(path, (artifact) => artifact.quantized())));
  return new Map(forms);
}

type Encoded = () => Promise<EncodedPrompts>;

/** Embeddings of realistic prompts, from the reference's own text encoders. */
async function encodedPrompts(reference: RunnableReference): Promise<EncodedPrompts> {
  const hidden: TensorData[] = [];
  let pooled: TensorData | undefined;
  for (const name of reference.textEncoders) {
    const outputs = await reference.withModel({ name, network: name }, (paths) =>
      withChain(paths, async (encoder) => {
        const sizes = inputSizes('text_encoder', reference.settings, [encoder]);
        const [prompts] = realisticCases('text_encoder', sizes, reference.settings);
        return encoder.run(feedsFor(encoder, prompts?.tensors ?? new Map()));
      }),
    );
    const output = (wanted: string) =>
      outputs.get(findSynonym('outputs', wanted, [wanted], [...outputs.keys()]) ?? '');
    // SDXL's UNet reads the penultimate hidden state.
    const states = output('hidden_embeds') ?? output('last_hidden_state');
    if (states) hidden.push(states);
    pooled = output('text_embeds') ?? pooled;
  }
  const [first, second] = hidden;
  return { hidden: first && second ? [...hidden, sideBySide(first, second)] : hidden, pooled };
}

/** [B,S,C] and [B,S,D] → [B,S,C+D]. */
function sideBySide(first: TensorData, second: TensorData): TensorData {
  const [batch = 0, tokens = 0, channels = 0] = first.shape;
  const more = second.shape[2] ?? 0;
  const data = new Float32Array(batch * tokens * (channels + more));
  const [left, right] = [numbersOf(first), numbersOf(second)];
  for (let row = 0; row < batch * tokens; row++) {
    const start = row * (channels + more);
    for (let i = 0; i < channels; i++) data[start + i] = left[row * channels + i] ?? 0;
    for (let i = 0; i < more; i++) data[start + channels + i] = right[row * more + i] ?? 0;
  }
  return { dtype: 'f32', shape: [batch, tokens, channels + more], data };
}

/** Computes a value on first use, once. */
function once<T>(compute: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= compute();
    return result;
  };
}

/**
 * Opens a chain, calls `use` with it and closes it. It is not optimised, so that the weights stay on the disk; the numbers
 * are the same either way. On a CPU, onnxruntime computes float16 models in float32, so a float16 overflow does not show;
 * for Core ML models it does, with `roundToFloat16`.
 */
async function withChain<T>(
  paths: readonly string[],
  use: (model: Runner) => Promise<T>,
  options: Omit<RunnerOptions, 'optimize'> = {},
): Promise<T> {
  const model = await openChain(paths, { ...options, optimize: false });
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

function whichModel({ artifact, reference }: ValidateRequest, models: readonly FoundModel[]): RequestError {
  return new RequestError({
    problem: `${artifact} contains ${models.length} models, but ${reference} is a recording of one.`,
    details: { 'it contains': models.map(({ name }) => name).join(', ') },
    advice: 'Name the folder of the model that was recorded.',
  });
}

function unknownNetwork(model: ModelBorders): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${model.path} is not a network that sdconvert has realistic inputs for.`,
    details: { inputs: names(model.inputs) },
    advice: 'Compare it with recorded inputs and outputs: --reference FILE.safetensors.',
  });
}

function otherNetwork(model: ModelBorders, other: ModelBorders): RequestError {
  return new RequestError({
    problem: `${model.path} and its reference are not the same network.`,
    details: {
      'its inputs': names(model.inputs),
      'inputs of the reference': `${names(other.inputs)} (${other.path})`,
    },
    advice: 'Compare models of the same component.',
  });
}

function nothingInCommon(model: ModelBorders, reference: string): RequestError {
  return new RequestError({
    problem: `${reference} has none of the outputs of ${model.path}.`,
    details: { expected: names(model.outputs) },
    advice: 'Compare with a reference of the same component.',
  });
}

function names(infos: ModelBorders['inputs']): string {
  return infos.map(({ name }) => name).join(', ');
}
