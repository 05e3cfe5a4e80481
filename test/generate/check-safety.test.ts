import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Runner } from '../../src/formats/runner.ts';
import { clipInput, isInappropriate } from '../../src/generate/check-safety.ts';
import { readSafetensors } from '../../src/index.ts';

const SIDE = 32;

test.each(['64x64', '75x40', '24x31'])(
  'what CLIP sees of a picture of %s is what transformers makes of it',
  async (size) => {
    const file = fileURLToPath(new URL(`../goldens/pictures/clip_${size}.safetensors`, import.meta.url));
    const tensors = await readSafetensors(file);
    const [picture, seen] = [tensors.get('picture'), tensors.get('clip_input')];
    if (picture?.dtype !== 'u8' || seen?.dtype !== 'u8') throw new Error('not recorded');
    const [height = 0, width = 0] = picture.shape;
    const found = clipInput({ width, height, channels: 3, data: picture.data }, SIDE);
    expect(bytesFrom(found)).toEqual(Uint8Array.from(seen.data));
  },
);

test.each([
  { flags: [0], scores: [-0.1, -0.2], isWithheld: false },
  { flags: [0], scores: undefined, isWithheld: false }, // as optimum's
  { flags: [1], scores: [0.1, -0.2], isWithheld: true },
  { flags: [0], scores: [-0.1, Number.NaN], isWithheld: true },
  { flags: [0], scores: [-0.1, Number.NEGATIVE_INFINITY], isWithheld: true },
  { flags: [Number.NaN], scores: [-0.1], isWithheld: true },
  { flags: [], scores: [], isWithheld: true },
])('of flags $flags and scores $scores, withheld is $isWithheld', async ({ flags, scores, isWithheld }) => {
  const tensor = (values: readonly number[]) =>
    ({ dtype: 'f32', shape: [1, values.length], data: Float32Array.from(values) }) as const;
  const checker: Runner = {
    ...{ path: 'safety_checker', inputs: [], outputs: [], close: async () => {} },
    run: async () =>
      new Map([
        ['has_nsfw_concepts', tensor(flags)],
        ...(scores ? [['concept_scores', tensor(scores)] as const] : []),
      ]),
  };
  const image = { width: 8, height: 8, channels: 3, data: new Uint8Array(192) } as const;
  expect(await isInappropriate(checker, image)).toBe(isWithheld);
});

/** The bytes that were normalised, as the recording has them. */
function bytesFrom(input: Float32Array): Uint8Array {
  const means = [0.48145466, 0.4578275, 0.40821073];
  const deviations = [0.26862954, 0.26130258, 0.27577711];
  return Uint8Array.from(input, (value, i) => {
    const channel = Math.floor(i / (SIDE * SIDE));
    return Math.round((value * (deviations[channel] ?? 0) + (means[channel] ?? 0)) * 255);
  });
}
