import type { Tensor } from '../../graph/tensor.ts';
import type { Ignored } from '../../graph/weight-book.ts';
import type { JsonObject } from '../../io/json/python-json.ts';
import type { Rng } from '../../random/rng.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { type ClipTextOutputs, clipText, clipTextWithProjection } from '../clip-text.ts';
import { clipTextConfig } from '../config/clip-text-config.ts';
import { type DeclaredDim, type Definition, networkCard } from './card.ts';
import { type InputCase, type InputSizes, type ModelSettings, onlyCase } from './realistic.ts';

/** Position ids, which old files of CLIP's text and vision models have. */
export const positionIds: Ignored = {
  names: /^(text_model|vision_model\.vision_model)\.embeddings\.position_ids$/,
  reason: 'position ids 0, 1, 2, …, which old versions of transformers saved',
};

interface Inputs {
  readonly input_ids: Tensor;
}

/** Facts that both text encoders share. */
const shared = {
  part: 'text_encoder' as const,
  shortDescription: 'Turns the tokens of a prompt into the embeddings that guide Stable Diffusion.',
  fewerBits: true,
  marks: ['input_ids'],
  settings: { vocabularySize: 'vocab_size', padding: paddingOf },
  ignored: () => [positionIds],
  inputs: {
    input_ids: {
      optimum: 'input_ids',
      apple: 'input_ids',
      kind: 'ids',
      axes: ['batch', 'tokens'],
      text: 'Token ids of the prompt, begun, ended and padded as the tokenizer does',
    },
  },
  read: clipTextConfig,
  dims: ({ max_position_embeddings: tokens }, { contract }) => ({ batch: contract.rows(1), tokens }),
  cases: prompts,
} satisfies Partial<Definition<ReturnType<typeof clipTextConfig>, Inputs, object, string>>;

const lastHiddenState = 'An embedding for every token, after the last layer and its normalization';
const hiddenEmbeds = 'An embedding for every token, as the last layer but one gives it';
const pooled = 'One embedding for the whole text, taken where the text ends';
/** Names of the embedding and of each layer's output, without the final normalisation. */
const hiddenStates = (index: number): string => `hidden_states.${index}`;

/** CLIP's text encoder; in Stable Diffusion XL, which reads hidden states, the first of two. */
export const textEncoder = networkCard({
  ...shared,
  component: 'text_encoder',
  title: 'the text encoder',
  swiftName: 'TextEncoder',
  outputs: {
    hidden_embeds: {
      optimum: null,
      apple: { name: 'hidden_embeds', of: ({ isXl }) => isXl },
      text: hiddenEmbeds,
    },
    last_hidden_state: {
      optimum: 'last_hidden_state',
      apple: { name: 'last_hidden_state', of: ({ isXl }) => !isXl },
      text: lastHiddenState,
    },
    pooled: { optimum: 'pooler_output', apple: 'pooled_outputs', text: pooled },
    hidden_states: { optimum: { name: hiddenStates, of: ({ isXl }) => isXl }, apple: null, text: null },
  },
  forward(at, { input_ids }: Inputs, config) {
    const outputs = clipText(at, input_ids, config);
    return { ...outputs, hidden_embeds: penultimate(outputs) };
  },
});

/** Stable Diffusion XL's second text encoder, whose pooled output is projected. */
export const textEncoder2 = networkCard({
  ...shared,
  component: 'text_encoder_2',
  title: 'the second text encoder',
  swiftName: 'TextEncoder2',
  like: 'text_encoder',
  isUnlike: (lastDims) => lastDims.has('text_embeds') || isWide(lastDims),
  cases: (rng, sizes, settings) => prompts(rng, sizes, { ...settings, padding: OPENCLIP_PADDING }),
  outputs: {
    hidden_embeds: { optimum: null, apple: 'hidden_embeds', text: hiddenEmbeds },
    text_embeds: { optimum: 'text_embeds', apple: 'pooled_outputs', text: pooled },
    last_hidden_state: { optimum: 'last_hidden_state', apple: null, text: lastHiddenState },
    hidden_states: { optimum: hiddenStates, apple: null, text: null },
  },
  forward(at, { input_ids }: Inputs, config) {
    const { pooled: _, ...outputs } = clipTextWithProjection(at, input_ids, config);
    return { ...outputs, hidden_embeds: penultimate(outputs) };
  },
});

/** Apple's contract gives both encoders' outputs the same names, and SDXL's second is the wider one. */
function isWide(lastDims: ReadonlyMap<string, DeclaredDim>): boolean {
  return lastDims.has('hidden_embeds') && lastDims.get('pooled_outputs') === SECOND_ENCODER_WIDTH;
}

/** Width of OpenCLIP ViT-bigG; CLIP ViT-L, the first encoder, has 768. */
const SECOND_ENCODER_WIDTH = 1280;

/** The penultimate hidden state, without the final normalisation: Stable Diffusion XL was trained on it. */
function penultimate({ hidden_states }: Pick<ClipTextOutputs, 'hidden_states'>): Tensor {
  const tensor = hidden_states.at(-2);
  if (!tensor) throw new RangeError('a text encoder without layers');
  return tensor;
}

/** Token id with which prompts were filled up that OpenCLIP's text encoders were trained with (`clip.tokenize`). */
const OPENCLIP_PADDING = 0;

/** What fills prompts up: OpenCLIP's encoders (Stable Diffusion 2.x, the second one of XL) compute gelu, OpenAI's an estimate of it. */
function paddingOf({ hidden_act: activation, vocab_size: words }: JsonObject): number | undefined {
  if (activation === 'gelu') return OPENCLIP_PADDING;
  return typeof words === 'number' ? words - 1 : undefined;
}

function prompts(rng: Rng, sizes: InputSizes, settings: ModelSettings): InputCase[] {
  return onlyCase('prompts', ['input_ids', tokenIds(rng, sizes, settings)]);
}

/** Token ids [B,S]: random prompts in even rows, empty ones in odd rows, begun, ended and filled up. */
function tokenIds(
  rng: Rng,
  { batch, tokens }: InputSizes,
  { vocabularySize = 49408, padding = vocabularySize - 1 }: ModelSettings,
): TensorData {
  const [begin, end] = [vocabularySize - 2, vocabularySize - 1];
  const data = new Int32Array(batch * tokens).fill(padding);
  for (let row = 0; row < batch; row++) {
    const words = row % 2 === 0 ? rng.normal(Math.min(PROMPT_TOKENS, tokens - 2)) : [];
    const ids = Array.from(words, (value) => Math.floor(Math.abs(value) * 1e6) % begin);
    data.set([begin, ...ids, end], row * tokens);
  }
  return { dtype: 'i32', shape: [batch, tokens], data };
}

const PROMPT_TOKENS = 40;
