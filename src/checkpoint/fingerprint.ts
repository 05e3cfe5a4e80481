import { createHash } from 'node:crypto';
import { elementCount, isFloat } from '../weights/dtype.ts';
import type { Weight } from '../weights/weight.ts';
import type { Component } from './checkpoint.ts';

/** Elements of a tensor that is hashed whole: biases and norms, which every training moves. */
const SMALL = 4096;

/** How many of the other tensors are sampled, and how many bytes of each. */
const SAMPLES = 8;
const SAMPLE_BYTES = 1 << 16;

/**
 * Tells a component's weights from others' without reading them all: SHA-256 of the small tensors and of the beginnings of
 * a few large ones, in float32, with names and shapes, shortened to 16 hexadecimal digits. The same for a folder and a
 * single file of the same weights, another one with a LoRA merged. Throws what reading the weights throws.
 */
export async function fingerprintOf({ weights }: Pick<Component, 'weights'>): Promise<string> {
  const hash = createHash('sha256');
  // Whole numbers are positions and the like: no training moves them.
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
