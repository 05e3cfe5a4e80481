import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Context } from '../../src/context.ts';
import type { Runner } from '../../src/formats/runner.ts';
import { ClipTokenizer } from '../../src/generate/clip-tokenizer.ts';
import { encodeConditioning, type TextEncoders } from '../../src/generate/encode-conditioning.ts';
import type { TextualInversion } from '../../src/generate/prompt/textual-inversion.ts';

const text = (file: string) =>
  readFileSync(new URL(`../../models/sd-shapes/tokenizer/${file}`, import.meta.url), 'utf8');
const tokenizer = ClipTokenizer.fromFiles({ vocab: text('vocab.json'), merges: text('merges.txt') });
const words = (count: number) => Array(count).fill('cat').join(' ');
const CHANNELS = 4;

/** Text encoders that give zeros for every row of 77 tokens. */
const networks: TextEncoders['networks'] = {
  async use(name, run) {
    const output = (shape: number[]) =>
      ({ dtype: 'f32', shape, data: new Float32Array(shape.reduce((a, b) => a * b)) }) as const;
    const rows = (feeds: Parameters<Runner['run']>[0]) => [...feeds.values()][0]?.shape[0] ?? 0;
    return run({
      path: name,
      inputs: [{ name: 'input_ids', dtype: 'i64', dims: ['batch_size', 77] }],
      outputs: [],
      run: async (feeds) =>
        new Map(
          Object.entries({
            last_hidden_state: output([rows(feeds), 77, CHANNELS]),
            hidden_embeds: output([rows(feeds), 77, CHANNELS]),
            text_embeds: output([rows(feeds), CHANNELS]),
          }),
        ),
      close: async () => {},
    });
  },
};

describe('every text has as many rows as the UNet takes', () => {
  test('where an inversion of one of two encoders makes the prompt longer there', async () => {
    const inversion = { token: '<moss>', embeddings: { text_encoder: vectors(20) } };
    const prompts = ['', `${words(60)} <moss>`];
    const long = await shapeOf({ family: 'sdxl', tokens: undefined }, prompts, true, [inversion]);
    expect(long).toEqual([2, 154, 2 * CHANNELS]);
  });

  test('where the UNet was converted for several rows, with and without long prompts', async () => {
    for (const long of [true, false])
      expect(await shapeOf({ family: 'sd1', tokens: 154 }, ['', 'a cat'], long)).toEqual([2, 154, CHANNELS]);
    expect(await shapeOf({ family: 'sd1', tokens: 231 }, ['', words(100)], true)).toEqual([2, 231, CHANNELS]);
  });

  test('and a prompt of more rows than any memory holds is refused before it is encoded', async () => {
    const prompts = ['', words(75 * 100 + 1)];
    await expect(shapeOf({ family: 'sd1', tokens: undefined }, prompts, true)).rejects.toThrow(
      'the prompt takes 101 × 77 tokens, and the maximum is 100 × 77.',
    );
    const most = await shapeOf({ family: 'sd1', tokens: undefined }, ['', words(75 * 100)], true);
    expect(most).toEqual([2, 7700, CHANNELS]);
  });

  test('and a UNet that takes fewer, or no whole rows, is told', async () => {
    await expect(shapeOf({ family: 'sd1', tokens: 77 }, [words(80)], true)).rejects.toThrow(
      'the prompt takes 2 × 77 tokens, but the UNet takes 77.',
    );
    await expect(shapeOf({ family: 'sd1', tokens: 64 }, ['a cat'], false)).rejects.toThrow(
      'the prompt takes 1 × 77 tokens, but the UNet takes 64.',
    );
  });
});

async function shapeOf(
  unet: TextEncoders['unet'],
  prompts: readonly string[],
  long: boolean,
  inversions: readonly TextualInversion[] = [],
): Promise<readonly number[]> {
  const reading = { long, weights: false, clipSkip: 0, inversions };
  const sizes = { original: [64, 64], crop: [0, 0], target: [64, 64] } as const;
  const context: Context = {};
  const request = { prompts, zeroed: [], sizes, reading };
  const encoders = { unet, networks, tokenizerOf: async () => tokenizer };
  return (await encodeConditioning(encoders, request, context)).hiddenStates.shape;
}

/** Embeddings of some new tokens. */
function vectors(rows: number) {
  return { rows, width: CHANNELS, data: new Float32Array(rows * CHANNELS) };
}
