import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { Mt19937 } from '../../src/random/mt19937.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';

const fixtures = join(import.meta.dirname, '../fixtures');

/** A file of random weights, as test/fixtures/random-weights lists it. */
export interface ListedFile {
  readonly dtype: 'f16' | 'f32';
  /** Of the whole file, as test/python/random_weights.py makes it. */
  readonly sha256: string;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
}

/**
 * Makes the weights of the checkpoints in test/fixtures that have random ones, each file unless it is there already;
 * no commit holds them. The rules are those of test/python/random_weights.py, and so are the bytes: throws where they
 * are not. Several processes may do it at once.
 */
export async function makeRandomWeights(folder = fixtures): Promise<void> {
  const lists = join(folder, 'random-weights');
  for (const list of readdirSync(lists)) {
    const checkpoint = list.replace(/\.json$/, '');
    // as: the list is ours.
    const files = JSON.parse(readFileSync(join(lists, list), 'utf8')) as Record<string, ListedFile>;
    for (const [file, listed] of Object.entries(files))
      await makeFile(folder, `${checkpoint}/${file}`, listed);
  }
}

async function makeFile(folder: string, name: string, { dtype, sha256, shapes }: ListedFile): Promise<void> {
  const path = join(folder, name);
  if ((await hashOf(path)) === sha256) return;
  const tensors = Object.entries(shapes).map(([tensor, shape]) => randomTensor(name, tensor, shape, dtype));
  await writeSafetensors(path, tensors, { format: 'pt' });
  const found = await hashOf(path);
  if (found !== sha256)
    throw new Error(`${path} was made with SHA-256 ${found}, but is listed with ${sha256}`);
}

async function hashOf(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch(() => undefined);
  return bytes && createHash('sha256').update(bytes).digest('hex');
}

/** A tensor of the file `<checkpoint>/<file>`, whose name and its own are the seed. */
export function randomTensor(
  file: string,
  name: string,
  shape: readonly number[],
  dtype: ListedFile['dtype'],
): NamedTensor {
  const count = elementCount(shape);
  if (name.endsWith('position_ids'))
    return { name, dtype: 'i64', shape, data: BigInt64Array.from({ length: count }, (_, i) => BigInt(i)) };

  const words = new Mt19937(crc32(`${file}/${name}`));
  const { mean, deviation } = distribution(name, shape);
  // Storing rounds, once, from float64.
  const data = dtype === 'f16' ? new Float16Array(count) : new Float32Array(count);
  for (let i = 0; i < count; i++) data[i] = bell(words.uint32()) * deviation + mean;
  return data instanceof Float32Array
    ? { name, dtype: 'f32', shape, data }
    : { name, dtype: 'f16', shape, data: new Uint16Array(data.buffer) };
}

/** A random number of mean 0 and standard deviation 1, none further than 3.45 from 0: the sum of four random bytes, scaled. */
function bell(word: number): number {
  const sum = (word & 0xff) + ((word >>> 8) & 0xff) + ((word >>> 16) & 0xff) + (word >>> 24);
  return (sum - 510) / Math.sqrt(21845);
}

/** The mean and the standard deviation of a tensor's numbers, by which a network's activations stay near 1. */
function distribution(name: string, shape: readonly number[]): { mean: number; deviation: number } {
  if (name.endsWith('_embeds_weights')) return { mean: 0.3, deviation: 0.05 }; // a safety checker's thresholds, of cosines
  if (shape.length === 1)
    return name.endsWith('.weight') ? { mean: 1, deviation: 0.15 } : { mean: 0, deviation: 0.1 }; // of norms; biases
  // Queries and keys are larger, so that attention is not nearly the same everywhere.
  const gain = /(to_q|to_k|q_proj|k_proj)\.weight$/.test(name) ? 1.5 : 1;
  return { mean: 0, deviation: gain / Math.sqrt(elementCount(shape.slice(1))) };
}
