import type { Weight } from '../../src/weights/weight.ts';

/** Reads a weight to its end and gives its bytes, as they are stored. */
export async function drain(weight: Weight): Promise<Uint8Array> {
  const bytes: number[] = [];
  for await (const block of weight.stream(weight.dtype)) bytes.push(...block);
  return Uint8Array.from(bytes);
}
