import { type Context, throwIfInterrupted } from '../context.ts';
import { RequestError, UnsupportedModelError } from '../errors.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { openChain } from './chain.ts';
import { feedsFor, recordedOutputs } from './feeds.ts';
import { type FoundModel, findModels } from './find-models.ts';
import { type ModelSettings, readModelSettings } from './model-settings.ts';
import { inputSizes, realisticCases } from './realistic-inputs.ts';
import { openReference, type Reference, type RunnableReference } from './reference.ts';
import {
  type ModelBorders,
  noteNonFinite,
  type Runner,
  type RunnerOptions,
  type TensorMap,
} from './runner.ts';
import { networkOf } from './tensor-names.ts';
import { judge, type OutputVerdict, type Verdict } from './verdict.ts';

/** What to validate, and against what. */
export interface ValidateRequest {
  /** A model, one of its chunks, or a folder of models. */
  readonly artifact: string;
  /** Recorded inputs and outputs (`.safetensors`), a model or a folder of models, or a checkpoint. */
  readonly reference: string;
  /** The lowest PSNR in dB that passes. */
  readonly minPsnr: number;
  /** Core ML models: round what they declare float16, operation by operation, so that overflow shows. */
  readonly roundToFloat16?: boolean;
}

/**
 * Runs written models and compares every output with a reference's: on the recorded inputs, or on realistic ones. Gives
 * a verdict for each model, good or bad. Throws `RequestError` when a model and its reference are not of the same
 * network, `NotFoundError` for what is not there, `InterruptedError`, and what opening and running models throws.
 *
 * @example await validate({ artifact: 'out/onnx', reference: 'checkpoints/sd15', minPsnr: 35 }) // [{ model: 'unet', pass: true, … }, …]
 */
export async function validate(request: ValidateRequest, context: Context = {}): Promise<Verdict[]> {
  const models = await findModels(request.artifact);
  const reference = await openReference(request.reference, context);
  try {
    if (reference.kind === 'recorded' && models.length > 1) throw whichModel(request, models);
    const verdicts: Verdict[] = [];
    for (const model of models) {
      const { length: done } = verdicts;
      context.onProgress?.({
        type: 'progress',
        stage: 'validate',
        what: model.name,
        done,
        total: models.length,
      });
      verdicts.push(
        await withChain(model.paths, (runner) => validateModel(model, runner, reference, request, context), {
          roundToFloat16: request.roundToFloat16 ?? false,
          onNonFinite: noteNonFinite(context),
        }),
      );
    }
    return verdicts;
  } finally {
    await reference.close();
  }
}

async function validateModel(
  { name, paths, root }: FoundModel,
  candidate: Runner,
  reference: Reference,
  { reference: referencePath, minPsnr }: ValidateRequest,
  { signal }: Context,
): Promise<Verdict> {
  const expectations =
    reference.kind === 'recorded'
      ? recordedExpectations(candidate, reference.tensors)
      : await computedExpectations(candidate, name, await readModelSettings(root), reference, signal);
  const outputs: OutputVerdict[] = [];
  for (const { inputs, tensors, expected } of expectations) {
    throwIfInterrupted(signal);
    const feeds = feedsFor(candidate, tensors);
    const found = await candidate.run(feeds);
    outputs.push(...judge(expected, found, { inputs, minPsnr }));
  }
  const compared = new Set(outputs.map((output) => output.name));
  const notCompared = candidate.outputs.map((output) => output.name).filter((each) => !compared.has(each));
  if (compared.size === 0) throw nothingInCommon(candidate, referencePath);
  return {
    model: name,
    paths,
    reference: referencePath,
    outputs,
    notCompared,
    pass: outputs.every(({ pass }) => pass),
  };
}

/** Inputs, and what the reference gives for them, by the candidate's output names. */
interface Expectation {
  /** What tells the inputs from others: `timestep 981`. */
  readonly inputs: string;
  readonly tensors: TensorMap;
  readonly expected: TensorMap;
}

function recordedExpectations(candidate: Runner, tensors: TensorMap): Expectation[] {
  return [{ inputs: 'recorded', tensors, expected: recordedOutputs(candidate, tensors) }];
}

async function computedExpectations(
  candidate: Runner,
  name: string,
  ownSettings: ModelSettings,
  reference: RunnableReference,
  signal: AbortSignal | undefined,
): Promise<Expectation[]> {
  const network = networkOf(candidate.inputs.map((input) => input.name));
  if (!network) throw unknownNetwork(candidate);
  return reference.withModel({ name, network }, (paths) =>
    withChain(paths, async (other) => {
      if (networkOf(other.inputs.map((input) => input.name)) !== network)
        throw otherNetwork(candidate, other);
      const settings = { ...ownSettings, ...reference.settings };
      const sizes = inputSizes(network, settings, [candidate, other]);
      const text = network === 'unet' ? await hiddenStates(reference, settings) : undefined;
      const expectations: Expectation[] = [];
      for (const { name: inputs, tensors } of realisticCases(network, sizes, settings, text)) {
        throwIfInterrupted(signal);
        const expected = recordedOutputs(candidate, await other.run(feedsFor(other, tensors)));
        expectations.push({ inputs, tensors, expected });
      }
      return expectations;
    }),
  );
}

/** What the reference's own text encoder gives for realistic prompts: [2,S,C]. */
async function hiddenStates(
  reference: RunnableReference,
  settings: ModelSettings,
): Promise<TensorData | undefined> {
  if (!reference.hasTextEncoder) return undefined;
  return reference.withModel({ name: 'text_encoder', network: 'text_encoder' }, (paths) =>
    withChain(paths, async (encoder) => {
      const sizes = inputSizes('text_encoder', settings, [encoder]);
      const [prompts] = realisticCases('text_encoder', sizes, settings);
      const outputs = await encoder.run(feedsFor(encoder, prompts?.tensors ?? new Map()));
      return outputs.get('last_hidden_state');
    }),
  );
}

/**
 * Lets `use` run a chain: not optimised, so that the weights stay on the disk. (It would not change what is measured:
 * onnxruntime computes float16 models in float32 on a CPU either way, so an overflow of float16 does not show here; of Core ML models it does, with `roundToFloat16`.)
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
    problem: `${artifact} holds ${models.length} models, but ${reference} records one.`,
    details: { 'it holds': models.map(({ name }) => name).join(', ') },
    advice: 'Name the folder of the model that was recorded.',
  });
}

function unknownNetwork(model: ModelBorders): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${model.path} is not a network for which realistic inputs are known.`,
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
