import type { Context } from '../context.ts';
import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import { RequestError } from '../errors.ts';
import { type Runner, SKIPPED_STATES, type TensorMap, type TextEncoderChanges } from '../formats/runner.ts';
import { ONE_TEXT } from '../run/tensor-names.ts';
import { joinRows, pickRows } from '../weights/tensor-data.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import type { DrawnUnet } from './drawn-unet.ts';
import type { Networks } from './networks.ts';
import type { Conditioning } from './pipelines/predict-noise.ts';
import { joinChunks } from './prompt/join-chunks.ts';
import { type EncodedPrompt, encodePrompt, sameLength } from './prompt/prompt-chunks.ts';
import {
  expandInversions,
  type TextEncoderName,
  type TextualInversion,
  tokenNames,
} from './prompt/textual-inversion.ts';
import { float32, runEncoder } from './run-networks.ts';
import { joinChannels, type PictureSizes, refinerTimeIds, timeIds, zeroRows } from './sdxl-conditioning.ts';

/** How prompts are read. */
export interface PromptReading {
  /** Whether a prompt may have more than 75 tokens: each 75 become a row of their own. */
  readonly long: boolean;
  /** Whether brackets are weights (`readPromptWeights`). */
  readonly weights: boolean;
  /** Number of layers to skip for the last prompt, as diffusers' `clip_skip`; it does not hold for negative prompts there either. */
  readonly clipSkip: number;
  readonly inversions: readonly TextualInversion[];
}

/** Prompts and sizes to encode. */
export interface ConditioningRequest {
  /** The negative prompt, if any, then the prompt. */
  readonly prompts: readonly string[];
  /** Indices of prompts whose embeddings are set to zero (`force_zeros_for_empty_prompt`). */
  readonly zeroed: readonly number[];
  /** Used by Stable Diffusion XL only. */
  readonly sizes: PictureSizes;
  readonly reading: PromptReading;
}

/** A UNet, as far as it reads text. */
type TextReader = Pick<DrawnUnet, 'family' | 'tokens'> & Partial<Pick<DrawnUnet, 'hasOneText'>>;

/** The text encoders of a UNet, from a folder or elsewhere. */
export interface TextEncoders {
  readonly unet: TextReader;
  readonly networks: Pick<Networks, 'use'>;
  /** Opens the tokenizer of a text encoder. */
  readonly tokenizerOf: (encoder: TextEncoderName) => Promise<ClipTokenizer>;
}

/**
 * Encodes prompts with the text encoders of a UNet, one in memory at a time; a note tells the user what was cut off. Throws
 * `RequestError` for options that the models cannot serve, and what opening and running them throws.
 */
export async function encodeConditioning(
  { unet, networks, tokenizerOf }: TextEncoders,
  request: ConditioningRequest,
  context: Context,
): Promise<Conditioning> {
  const { prompts, zeroed, sizes, reading } = request;
  const encoders = textEncodersOf(unet);
  const isXl = encoders.includes('text_encoder_2');
  const { hasOneText = false } = unet;
  checkInversions(reading.inversions, isXl, context);
  const tokenized: Tokenized[] = [];
  for (const encoder of encoders) {
    const tokenizer = await tokenizerOf(encoder);
    for (const message of tokenizer.notes(encoder.replace('text_encoder', 'tokenizer')))
      context.onProgress?.({ type: 'note', message });
    tokenized.push(tokenize(tokenizer, encoder, request));
  }
  const rows = rowsOfText(unet, tokenized);
  if (tokenized[0]) noteCut(tokenized[0], context);
  const encoded = [];
  for (const each of tokenized)
    encoded.push(await encodeWith(networks, padded(each, rows), reading, { hasOneText, isXl }));
  const hidden = encoded.map((each) => each.hidden).reduce(joinChannels);
  if (!isXl) return { hiddenStates: hidden };
  const pooled = encoded.at(-1)?.pooled();
  const ids = unet.family === 'sdxl' ? timeIds : refinerTimeIds;
  return {
    hiddenStates: zeroRows(hidden, zeroed),
    added: new Map([
      ...(pooled ? [['text_embeds', zeroRows(pooled, zeroed)] as const] : []),
      ['time_ids', ids(sizes, prompts.length)],
    ]),
  };
}

/** Text encoders that a UNet is conditioned on, in the order of their channels. */
export function textEncodersOf({
  family,
  hasOneText,
}: Omit<TextReader, 'tokens'>): readonly TextEncoderName[] {
  if (hasOneText) return ['text_encoder'];
  if (family === 'sdxl') return ['text_encoder', 'text_encoder_2'];
  return family === 'sdxl-refiner' ? ['text_encoder_2'] : ['text_encoder'];
}

/** Throws `RequestError` for an inversion of two text encoders if there is one; notes an inversion of one if there are two. */
function checkInversions(
  inversions: readonly TextualInversion[],
  isXl: boolean,
  { onProgress }: Context,
): void {
  for (const { token, embeddings } of inversions) {
    if (!isXl && embeddings.text_encoder_2)
      throw new RequestError({
        problem: `the textual inversion ${token} is for the two text encoders of Stable Diffusion XL; this checkpoint has one.`,
        advice: `Leave it out, or use one that was trained for this family of checkpoints.`,
      });
    if (isXl && !(embeddings.text_encoder && embeddings.text_encoder_2))
      onProgress?.({
        type: 'note',
        message: `the textual inversion ${token} has an embedding for one of the two text encoders only; the other reads its token as text.`,
      });
  }
}

/** Prompts as token ids of one text encoder. */
interface Tokenized {
  readonly encoder: TextEncoderName;
  readonly tokenizer: ClipTokenizer;
  readonly prompts: readonly EncodedPrompt[];
  /** Embeddings of the inversions' tokens. */
  readonly changes: TextEncoderChanges;
}

function tokenize(
  own: ClipTokenizer,
  encoder: TextEncoderName,
  { prompts, reading }: ConditioningRequest,
): Tokenized {
  const inversions = reading.inversions.filter(({ embeddings }) => embeddings[encoder]);
  const tokenizer = own.withTokens(inversions.flatMap(tokenNames));
  const options = { ...reading, maxLength: CLIP_TOKENS };
  const encoded = prompts.map((prompt) =>
    encodePrompt(tokenizer, expandInversions(prompt, inversions), options),
  );
  return {
    encoder,
    tokenizer,
    prompts: encoded,
    changes: inversions.length > 0 ? { moreTokens: rowsOf(inversions, encoder, own) } : {},
  };
}

/**
 * Rows of a prompt. SD 1.5's UNet attends to so many from 64 × 64 latents in 2 GB of memory, and a page of BREAKs has thousands.
 */
const MOST_ROWS = 100;

/**
 * Rows of 77 tokens that the UNet gets of each prompt: as many as it takes, or else as the longest prompt has in any text
 * encoder; inversions of one make it longer there. Throws `RequestError` when the UNet does not take so many.
 */
function rowsOfText({ tokens }: TextEncoders['unet'], tokenized: readonly Tokenized[]): number {
  const longest = tokenized
    .flatMap(({ prompts }) => prompts.map(({ chunks }) => chunks.length))
    .reduce((most, rows) => Math.max(most, rows), 1);
  if (longest > MOST_ROWS)
    throw new RequestError({
      problem: `the prompt takes ${longest.toLocaleString('en')} × ${CLIP_TOKENS} tokens, and the maximum is ${MOST_ROWS} × ${CLIP_TOKENS}.`,
      advice: 'Shorten it (each BREAK begins another row), or leave out --long-prompts.',
    });
  const rows = tokens === undefined ? longest : tokens / CLIP_TOKENS;
  if (Number.isInteger(rows) && longest <= rows) return rows;
  throw new RequestError({
    problem: `the prompt takes ${longest} × ${CLIP_TOKENS} tokens, but the UNet takes ${tokens}.`,
    advice:
      longest > 1
        ? 'Leave out --long-prompts, or use an ONNX conversion, which takes any number.'
        : `Convert the UNet with a --text-token-sequence-length of ${CLIP_TOKENS} or a multiple of it.`,
  });
}

function padded(tokenized: Tokenized, rows: number): Tokenized {
  const { tokenizer, prompts } = tokenized;
  return { ...tokenized, prompts: sameLength(tokenizer, prompts, CLIP_TOKENS, rows) };
}

/** Embeddings of all new tokens, in the order of their ids. Throws `RequestError` if their widths differ. */
function rowsOf(
  inversions: readonly TextualInversion[],
  encoder: TextEncoderName,
  { size: firstId }: ClipTokenizer,
) {
  const embeddings = inversions.flatMap(({ embeddings }) => embeddings[encoder] ?? []);
  const widths = [...new Set(embeddings.map(({ width }) => width))];
  const [width = 0] = widths;
  if (widths.length > 1)
    throw new RequestError({
      problem: 'the textual inversions belong to different families of checkpoints.',
      details: { found: `embeddings of ${widths.join(' and ')} numbers` },
    });
  return { firstId, width, data: Float32Array.from(embeddings.flatMap(({ data }) => [...data])) };
}

function noteCut({ prompts }: Tokenized, { onProgress }: Context): void {
  for (const { cut } of prompts.filter((prompt) => prompt.cut !== ''))
    onProgress?.({
      type: 'note',
      message: `the prompt has more than ${CLIP_TOKENS - 2} tokens: “${cut}” was cut off. Pass --long-prompts to keep it.`,
    });
}

/** Name of the states that XL reads, the last but one; Guernika's compiled encoders give no others, and call them the last. */
function statesOfXl(outputs: TensorMap, { path }: Runner): string {
  const isGuernikas = path.endsWith('.mlmodelc') && !outputs.has('hidden_embeds');
  return isGuernikas && outputs.has('last_hidden_state') ? 'last_hidden_state' : 'hidden_embeds';
}

/** Runs one text encoder: hidden states [prompts,S,C], and on request the pooled embeddings [prompts,C]. */
async function encodeWith(
  networks: TextEncoders['networks'],
  { encoder, prompts, changes }: Tokenized,
  { clipSkip }: PromptReading,
  { hasOneText, isXl }: { readonly hasOneText: boolean; readonly isXl: boolean },
) {
  const skipLayers = { count: clipSkip, before: isXl ? 1 : 0, normalize: !isXl } as const;
  const textEncoder = { ...changes, ...(clipSkip > 0 && { skipLayers }) };
  const options = Object.keys(textEncoder).length > 0 ? { textEncoder } : {};
  const ids = prompts.flatMap(({ chunks }) => chunks.map((chunk) => chunk.ids));
  const length = ids.length / prompts.length;
  const encode = async (network: Runner) => {
    const outputs = await runEncoder(network, ids);
    const states = hasOneText ? ONE_TEXT : isXl ? statesOfXl(outputs, network) : 'last_hidden_state';
    const usual = float32(outputs, states, network);
    const ofLast = clipSkip > 0 ? float32(outputs, SKIPPED_STATES, network) : usual;
    const [first, ...others] = prompts.map(({ chunks }, i) => {
      const rows = chunks.map((_, row) => i * length + row);
      return joinChunks(pickRows(i === prompts.length - 1 ? ofLast : usual, rows), chunks);
    });
    if (!first) throw new RangeError('no prompt');
    const firsts = prompts.map((_, i) => i * length);
    return {
      hidden: joinRows(first, ...others),
      pooled: () => pickRows(float32(outputs, 'text_embeds', network), firsts),
    };
  };
  return networks.use(encoder, encode, options);
}
