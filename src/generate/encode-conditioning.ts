import { CLIP_TOKENS } from '../convert/config/clip-text-config.ts';
import type { NetworkName } from '../convert/networks/networks.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import { openNetwork } from '../run/open-network.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { ClipTokenizer } from './clip-tokenizer.ts';
import { type DrawingFolder, requireModel } from './drawing-folder.ts';
import { openTokenizerOf } from './drawing-settings.ts';
import type { DrawnUnet } from './drawn-unet.ts';
import { joinChannels, type PictureSizes, timeIds, zeroRows } from './sdxl-conditioning.ts';
import { encodePrompts, float32, runEncoder } from './text-to-image.ts';

/** Conditioning inputs of a UNet, one row per prompt. */
export interface Conditioning {
  /** [rows,77,C]. */
  readonly hiddenStates: TensorData<'f32'>;
  /** Stable Diffusion XL's `text_embeds` and `time_ids`. */
  readonly added?: TensorMap;
}

/** Prompts and sizes to encode. */
export interface ConditioningRequest {
  readonly prompts: readonly string[];
  /** Indices of prompts whose embeddings are set to zero (`force_zeros_for_empty_prompt`). */
  readonly zeroed: readonly number[];
  /** Used by Stable Diffusion XL only. */
  readonly sizes: PictureSizes;
}

/** Encodes prompts with the text encoders of a folder, one in memory at a time. Throws what opening and running them throws. */
export async function encodeConditioning(
  folder: DrawingFolder,
  { family }: DrawnUnet,
  { prompts, zeroed, sizes }: ConditioningRequest,
): Promise<Conditioning> {
  const tokenize = async (name: 'tokenizer' | 'tokenizer_2') =>
    rowsOf(await openTokenizerOf(folder, name, family), prompts);
  const rows = await tokenize('tokenizer');
  if (family !== 'sdxl')
    return {
      hiddenStates: await withNetwork(folder, 'text_encoder', (encoder) => encodePrompts(encoder, rows)),
    };
  const first = await withNetwork(folder, 'text_encoder', async (encoder) =>
    float32(await runEncoder(encoder, rows), 'hidden_embeds', encoder),
  );
  const otherRows = await tokenize('tokenizer_2');
  const second = await withNetwork(folder, 'text_encoder_2', async (encoder) => {
    const outputs = await runEncoder(encoder, otherRows);
    return {
      hidden: float32(outputs, 'hidden_embeds', encoder),
      pooled: float32(outputs, 'text_embeds', encoder),
    };
  });
  return {
    hiddenStates: zeroRows(joinChannels(first, second.hidden), zeroed),
    added: new Map([
      ['text_embeds', zeroRows(second.pooled, zeroed)],
      ['time_ids', timeIds(sizes, prompts.length)],
    ]),
  };
}

function rowsOf(tokenizer: ClipTokenizer, prompts: readonly string[]): number[][] {
  return prompts.map((prompt) => tokenizer.encode(prompt, { maxLength: CLIP_TOKENS }));
}

/** Loads a network of a folder (all its chunks, if it is cut), calls `use` with it, and closes it. */
export async function withNetwork<T>(
  folder: DrawingFolder,
  name: NetworkName,
  use: (network: Runner) => Promise<T>,
): Promise<T> {
  const network = await openNetwork(requireModel(folder, name).paths, { optimize: true });
  try {
    return await use(network);
  } finally {
    await network.close();
  }
}
