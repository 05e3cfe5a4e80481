import type { Context } from '../context.ts';
import type { Sizes } from '../convert/contracts/contract.ts';
import { networkKind } from '../convert/networks/networks.ts';
import type { EncodedPrompts, InputCase, InputSizes } from '../convert/networks/realistic.ts';
import { RequestError, UnsupportedModelError } from '../errors.ts';
import { type Format, targetOfFormat } from '../formats/format.ts';
import { withArtifact } from '../formats/open.ts';
import type { ModelBorders, TensorMap } from '../formats/runner.ts';
import { targets } from '../formats/targets.ts';
import type { StoredForm, StoredForms } from '../quantize/stored-form.ts';
import type { RunnableChain } from '../run/chain.ts';
import { feedsFor, recordedOutputs } from '../run/feeds.ts';
import type { FoundModel } from '../run/find-models.ts';
import { networkCalled } from '../run/network-called.ts';
import { findSynonym, networkOf, optimumInput } from '../run/tensor-names.ts';
import { givesOneText } from '../run/xl-models.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import { besideEachOther, numbersOf } from '../weights/tensor-values.ts';
import type { BoundedRuns, NamedRun } from './bounded-runs.ts';
import { readModelSettings } from './model-settings.ts';
import { inputSizes, realisticCases } from './realistic-inputs.ts';
import type { RecordedReference, RunnableReference, TextEncoderName, WantedModel } from './reference.ts';

/** A model whose inputs and outputs are arranged otherwise than its reference's, while nothing is wrong with either. */
export class NotComparableError extends RequestError {}

/** What a model is compared with: planned, nothing has been run. */
export interface Expectations {
  readonly cases: readonly InputCase[];
  /** The runs that will compute what is expected. */
  readonly runs: readonly NamedRun[];
  /** Runs them, one after another, and gives what is expected of each case, by the candidate's output names. */
  compute(progress: (what: string) => void): Promise<readonly Expectation[]>;
  close(): Promise<void>;
}

/** The reference's outputs for a case of inputs. */
export interface Expectation {
  readonly expected: TensorMap;
  /** What it gives in float32, where `expected` is from weights with the candidate's few bits. */
  readonly float32?: TensorMap | undefined;
}

/** Expects what was recorded. */
export function recordedExpectations(candidate: ModelBorders, { tensors }: RecordedReference): Expectations {
  return {
    cases: [{ name: 'recorded', tensors }],
    runs: [],
    compute: async () => [{ expected: recordedOutputs(candidate, tensors) }],
    close: async () => {},
  };
}

/** A reference that is run, and what reads text is fed with. */
export interface ComputedBy {
  readonly reference: RunnableReference;
  /** Embeddings of realistic prompts, from the reference's own text encoders. */
  readonly prompts: () => Promise<EncodedPrompts>;
  /** Random inputs for each case; 1 when left out. */
  readonly seeds?: number | undefined;
  readonly runs: BoundedRuns;
}

/**
 * Expects what a reference computes on realistic inputs: of a model with few bits, one whose weights have the same bits.
 * Throws `UnsupportedModelError` for networks without realistic inputs, `RequestError` where the reference is another
 * network, and what opening and planning throws.
 */
export async function computedExpectations(
  model: FoundModel & { readonly format: Format },
  candidate: ModelBorders,
  { reference, prompts, runs, seeds }: ComputedBy,
  context: Context,
): Promise<Expectations> {
  const { name, root, format } = model;
  const form = networkOf(candidate.inputs.map((input) => input.name));
  if (!form) throw unknownNetwork(candidate);
  const settings = { ...(await readModelSettings(root)), ...reference.settings };
  const network = networkCalled(name, form);
  const isArranged = targets[targetOfFormat[format]].arranged !== undefined;
  const fixed = isArranged ? fixedSizes(inputSizes(form, settings, [candidate])) : undefined;
  const wanted = { name, network, format, sizes: fixed };
  const chains: RunnableChain[] = [];
  const close = async () => {
    await Promise.all(chains.map((chain) => chain.close()));
  };
  try {
    const plain = await reference.open(wanted);
    chains.push(plain);
    if (networkOf(plain.inputs.map((input) => input.name)) !== form) throw otherNetwork(candidate, plain);
    if (isArrangedOtherwise(candidate, plain)) throw notComparable(candidate, plain);
    const sizes = inputSizes(form, settings, [candidate, plain]);
    const seesText = candidate.inputs.some((input) => input.name === 'encoder_hidden_states');
    const cases = realisticCases(
      networkKind(network),
      sizes,
      settings,
      seesText ? await prompts() : undefined,
      seeds,
    );
    const fewBits = await withFewerBits(model, wanted, reference, context);
    if (fewBits) chains.push(fewBits);
    const planned: NamedRun[] = [];
    for (const [at, chain] of chains.entries()) {
      const feeds = cases.map(({ tensors }) => feedsFor(chain, tensors));
      const what = at === 0 ? 'the reference' : 'the reference with fewer bits';
      planned.push({ what, plan: await runs.plan(chain, feeds) });
    }
    return {
      cases,
      runs: planned,
      async compute(progress) {
        const computed: TensorMap[][] = [];
        for (const run of planned)
          computed.push(
            (await runs.run(run, progress)).map((outputs) => recordedOutputs(candidate, outputs)),
          );
        const [inFloat32 = [], inFewBits] = computed;
        if (!inFewBits) return inFloat32.map((expected) => ({ expected }));
        return inFewBits.map((expected, at) => ({ expected, float32: inFloat32[at] }));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The reference with weights of the bits that a model's have; `undefined` where it has none of fewer bits, or others. */
async function withFewerBits(
  { name, paths }: FoundModel,
  wanted: WantedModel,
  reference: RunnableReference,
  { onProgress }: Context,
): Promise<RunnableChain | undefined> {
  const forms = await storedForms(paths);
  if (forms.size === 0 || !reference.openQuantized) return undefined;
  const quantized = await reference.openQuantized(wanted, forms);
  if (quantized) return quantized;
  const message = `${name}: some of its quantised weights are none of ${reference.path}, so it is judged against float32.`;
  onProgress?.({ type: 'note', message });
  return undefined;
}

/** The forms of the quantised weights of a model, all chunks together. */
async function storedForms(paths: readonly string[]): Promise<StoredForms> {
  const forms: (readonly [string, StoredForm])[] = [];
  for (const path of paths) forms.push(...(await withArtifact(path, (artifact) => artifact.quantized())));
  return new Map(forms);
}

/** Embeddings of realistic prompts, from the reference's own text encoders. Throws what running them throws. */
export async function encodedPrompts(
  reference: RunnableReference,
  runs: BoundedRuns,
): Promise<EncodedPrompts> {
  const hidden: TensorData[] = [];
  let pooled: TensorData | undefined;
  for (const name of reference.textEncoders) {
    const encoder = await reference.open({ name, network: name });
    const outputs = await encodePrompts(name, encoder, reference, runs).finally(() => encoder.close());
    const output = (wanted: string) =>
      outputs.get(findSynonym('outputs', wanted, [wanted], [...outputs.keys()]) ?? '');
    // SDXL's UNet reads the penultimate hidden state.
    const states = output('hidden_embeds') ?? output('last_hidden_state');
    if (states) hidden.push(states);
    pooled = output('text_embeds') ?? pooled;
  }
  const [first, second] = hidden;
  const all = first && second ? besideEachOther(first, second) : first;
  if (!all || !pooled) return { hidden, pooled };
  // The last one is what Core AI's XL reads.
  return { hidden: [...hidden, all, besideEachOther(all, inEveryRow(pooled, all.shape[1] ?? 0))], pooled };
}

/** Pooled text [B,C] → [B,S,C], for `tokens` S. */
function inEveryRow(pooled: TensorData, tokens: number): TensorData {
  const [batch = 0, channels = 0] = pooled.shape;
  const values = Float32Array.from(numbersOf(pooled));
  const data = new Float32Array(batch * tokens * channels);
  for (let row = 0; row < batch * tokens; row++) {
    const start = Math.floor(row / tokens) * channels;
    data.set(values.subarray(start, start + channels), row * channels);
  }
  return { dtype: 'f32', shape: [batch, tokens, channels], data };
}

async function encodePrompts(
  name: TextEncoderName,
  encoder: RunnableChain,
  { settings }: RunnableReference,
  runs: BoundedRuns,
): Promise<TensorMap> {
  const sizes = inputSizes('text_encoder', settings, [encoder]);
  const [prompts] = realisticCases(name, sizes, settings);
  const plan = await runs.plan(encoder, [feedsFor(encoder, prompts?.tensors ?? new Map())]);
  const [outputs] = await runs.run({ what: 'prompts', plan });
  return outputs ?? new Map();
}

function fixedSizes({ batch, tokens, latentHeight, latentWidth }: InputSizes): Sizes {
  return { unetBatch: batch, textTokens: tokens, latentHeight, latentWidth };
}

/** Whether one of two models of XL has all of the text in one tensor, as Core AI has it, and the other has not. */
function isArrangedOtherwise(one: ModelBorders, other: ModelBorders): boolean {
  const marks = ({ inputs, outputs }: ModelBorders) => [
    inputs.some(({ name }) => optimumInput(name) === 'time_ids'),
    givesOneText(outputs),
  ];
  return marks(one).join() !== marks(other).join();
}

function notComparable(model: ModelBorders, other: ModelBorders): NotComparableError {
  return new NotComparableError({
    problem: `${model.path} and its reference are two arrangements of Stable Diffusion XL: one of them is as Core AI has it.`,
    details: { reference: other.path },
    advice: 'Compare it with the checkpoint, or with models of the same target.',
  });
}

function unknownNetwork(model: ModelBorders): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${model.path} is not a network that sdconvert has realistic inputs for.`,
    details: { inputs: namesOf(model.inputs) },
    advice: 'Compare it with recorded inputs and outputs: --reference FILE.safetensors.',
  });
}

function otherNetwork(model: ModelBorders, other: ModelBorders): RequestError {
  return new RequestError({
    problem: `${model.path} and its reference are not the same network.`,
    details: {
      'its inputs': namesOf(model.inputs),
      'inputs of the reference': `${namesOf(other.inputs)} (${other.path})`,
    },
    advice: 'Compare models of the same component.',
  });
}

function namesOf(infos: ModelBorders['inputs']): string {
  return infos.map(({ name }) => name).join(', ');
}
