import { RequestError } from '../errors.ts';
import { CudaNormal } from './cuda-normal.ts';
import { NumpyNormal } from './numpy-normal.ts';
import type { Rng } from './rng.ts';
import { TorchNormal } from './torch-normal.ts';

/** Whose random numbers: NumPy's legacy generator, PyTorch's on the CPU, or PyTorch's on an NVIDIA GPU. */
export type RngKind = keyof typeof streams;

const streams = { numpy: NumpyNormal, torch: TorchNormal, nvidia: CudaNormal };

/**
 * Starts the random stream that NumPy (`np.random.RandomState(seed).randn`), PyTorch on the CPU (`torch.randn`) or
 * PyTorch on a GPU would give for this seed, so that a seed makes the same picture here and there.
 *
 * @example createRng('torch', 0).normal(16)[0] // -1.1258398294448853
 * @throws RequestError when the kind is unknown or the seed is not an integer from 0 to 2³²−1 (numpy) or 2⁵³−1.
 */
export function createRng(kind: RngKind, seed: number): Rng {
  const Stream = typeof kind === 'string' && Object.hasOwn(streams, kind) ? streams[kind] : undefined;
  if (!Stream) {
    throw new RequestError({
      problem: `There is no random number generator called ${named(kind)}.`,
      details: { expected: Object.keys(streams).join(', '), found: named(kind) },
    });
  }
  const limit = kind === 'numpy' ? 2 ** 32 - 1 : Number.MAX_SAFE_INTEGER;
  if (!Number.isInteger(seed) || seed < 0 || seed > limit) {
    throw new RequestError({
      problem: `${named(seed)} cannot seed the ${kind} random numbers.`,
      details: { expected: `an integer from 0 to ${limit}`, found: named(seed) },
    });
  }
  return new Stream(seed);
}

/** A value for a sentence: not all can be made a text. */
function named(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`;
  return typeof value === 'number' ? String(value) : `a value of the type ${typeof value}`;
}
