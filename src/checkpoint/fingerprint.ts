import { createHash } from 'node:crypto';
import { elementCount, isFloat } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import type { Component } from './checkpoint.ts';

/** Most elements of a tensor that is hashed in full: biases and norms, which every training changes. */
const SMALL = 4096;

/** Number of larger tensors to sample, and bytes of each. */
const SAMPLES = 8;
const SAMPLE_BYTES = 1 << 16;

/**
 * Identifies a component's weights without reading them all: SHA-256 of the small tensors and of the beginnings of a
 * few large ones, in float32, with names and shapes, shortened to 16 hexadecimal digits. A folder and a single file of
 * the same weights have the same fingerprint; a merged LoRA changes it. Throws what reading the weights throws.
 */
export async function fingerprintOf({ weights }: Pick<Component, 'weights'>): Promise<string> {
  const hash = createHash('sha256');
  // Integer tensors are position ids and the like, which training does not change.
  const sorted = [...weights].filter(([, { dtype }]) => isFloat(dtype)).sort(([a], [b]) => (a < b ? -1 : 1));
  const isSmall = ({ shape }: Weight): boolean => elementCount(shape) <= SMALL;
  const large = sorted.filter(([, weight]) => !isSmall(weight));
  const step = Math.max(1, Math.ceil(large.length / SAMPLES));
  const sampled = [
    ...sorted.filter(([, weight]) => isSmall(weight)),
    ...large.filter((_, index) => index % step === 0),
  ];
  for (const [name, weight] of sampled) {
    hash.update(`${name} [${weight.shape}]`);
    hash.update(await beginning(weight));
  }
  return hash.digest('hex').slice(0, 16);
}

async function beginning(weight: Weight): Promise<Uint8Array> {
  for await (const block of weight.stream('f32')) return block.slice(0, SAMPLE_BYTES);
  return new Uint8Array();
}
