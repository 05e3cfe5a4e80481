import { expect, test } from 'vitest';
import { RequestError, ShapeError } from '../../../src/errors.ts';
import { normalizeHidden, skipLayers } from '../../../src/generate/prompt/clip-skip.ts';

const layers = (count: number) => Array.from({ length: count + 1 }, (_, i) => `hidden_states.${i}`);
const xl = { isXl: true };
const sd = { isXl: false };

// diffusers: hidden_states[-(skip + 1)] and final_layer_norm; of XL hidden_states[-(skip + 2)].
test.each([
  [['last_hidden_state', 'pooler_output'], 0, sd, 'last_hidden_state', false],
  [['last_hidden_state', ...layers(12)], 1, sd, 'hidden_states.11', true],
  [['last_hidden_state', ...layers(12)], 2, sd, 'hidden_states.10', true],
  [['last_hidden_state', ...layers(12)], 0, xl, 'hidden_states.11', false],
  [['last_hidden_state', ...layers(12)], 1, xl, 'hidden_states.10', false],
  [['text_embeds', ...layers(32)], 2, xl, 'hidden_states.29', false],
  [['hidden_embeds', 'pooled_outputs'], 0, xl, 'hidden_embeds', false],
])('of %j with %d skipped', (outputs, skip, family, output, normalize) => {
  expect(skipLayers(outputs, skip, family)).toEqual({ output, normalize });
});

test('layers that are not there cannot be skipped', () => {
  expect(() => skipLayers(['last_hidden_state'], 1, sd)).toThrow(/only its usual layer/);
  for (const skip of [13, -1, 0.5]) expect(() => skipLayers(layers(12), skip, sd)).toThrow(RequestError);
  expect(() => skipLayers(layers(12), 12, xl)).toThrow(/from 0 to 11/);
});

test('the normalization is that of each token over its channels', () => {
  const hidden = { dtype: 'f32', shape: [1, 2, 2], data: Float32Array.of(1, 3, -2, 2) } as const;
  const norm = { gain: Float32Array.of(1, 2), bias: Float32Array.of(0, 10), epsilon: 0 };
  expect([...normalizeHidden(hidden, norm).data]).toEqual([-1, 12, -1, 12]);
  expect(() => normalizeHidden(hidden, { ...norm, gain: Float32Array.of(1) })).toThrow(ShapeError);
});
