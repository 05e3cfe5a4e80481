import type { NamedTensor } from '../src/weights/safetensors-writer.ts';

/**
 * Random numbers that pass for a trained network's: heavy-tailed, scaled so that activations neither vanish nor explode,
 * and the same on every machine. They come from a counter and a table, because the 1.07 thousand million of Stable
 * Diffusion 1.5 should take seconds.
 */

/** The dtypes that checkpoints are stored in. */
export type FloatDType = 'f32' | 'f16';

/** A tensor that makes its numbers as it is written. They depend on its name and shape only. */
export function randomWeight(name: string, shape: readonly number[], dtype: FloatDType): NamedTensor {
  return { name, dtype, shape, stream: () => blocks(name, shape, dtype) };
}

const BLOCK_ELEMENTS = 2 ** 18;

async function* blocks(
  name: string,
  shape: readonly number[],
  dtype: FloatDType,
): AsyncGenerator<Uint8Array> {
  const count = shape.reduce((product, size) => product * size, 1);
  const numbers = new Float32Array(Math.min(count, BLOCK_ELEMENTS));
  const stored = dtype === 'f32' ? numbers : new Float16Array(numbers.length);
  const fill = filling(name, shape);
  for (let begin = 0; begin < count; begin += BLOCK_ELEMENTS) {
    fill(numbers);
    if (stored !== numbers) stored.set(numbers);
    const length = Math.min(count - begin, BLOCK_ELEMENTS);
    yield new Uint8Array(stored.buffer, 0, length * stored.BYTES_PER_ELEMENT);
  }
}

/** The scale of a norm is one; a bias is small; a matrix with n inputs has numbers of variance 1/n. */
function filling(name: string, shape: readonly number[]): (into: Float32Array) => void {
  if (shape.length === 1 && name.endsWith('.weight')) return (into) => into.fill(1);
  const inputs = shape.slice(1).reduce((product, size) => product * size, 1);
  const deviation = shape.length === 1 ? 0.02 : 1 / Math.sqrt(inputs);
  const values = quantiles.map((value) => value * deviation);
  let state = hash(name);
  return (into) => {
    for (let i = 0; i < into.length; i++) {
      state = (state + 0x9e3779b9) | 0;
      const bits = mix(state);
      const at = bits >>> 16;
      const low = values[at] ?? 0;
      into[i] = low + ((values[at + 1] ?? 0) - low) * ((bits & 0xffff) / 2 ** 16);
    }
  };
}

/** Where Student's distribution with four degrees of freedom, at variance 1, has passed i/65536 (Shaw, 2006). */
const quantiles = Float64Array.from({ length: 2 ** 16 + 1 }, (_, i) => {
  const p = Math.min(Math.max(i / 2 ** 16, 2 ** -18), 1 - 2 ** -18);
  const alpha = 4 * p * (1 - p);
  const q = Math.cos(Math.acos(Math.sqrt(alpha)) / 3) / Math.sqrt(alpha);
  return Math.sign(p - 0.5) * Math.SQRT2 * Math.sqrt(Math.max(0, q - 1));
});

/** 32 bits that look random, from 32 that count (the finisher of MurmurHash3). */
function mix(state: number): number {
  const once = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return twice ^ (twice >>> 16);
}

/** FNV-1a. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) state = Math.imul(state ^ byte, 0x01000193);
  return state;
}
