import { philox4x32 } from './philox.ts';
import type { Rng } from './rng.ts';

/**
 * PyTorch's CUDA stream, `torch.randn(count, device='cuda')` after `manual_seed(seed)`: each value is the first of a
 * Philox block whose counter is (draw, 0, index, 0), through Box–Muller's sine. This holds while the GPU has a thread
 * for every value: to about 100,000 values, above a 1024 × 1024 picture's 65,536. The GPU's float32 sine and logarithm
 * are approximations, so this is computed in double precision and rounded once, as Apple's `NvRandomSource` does.
 */
export class CudaNormal implements Rng {
  readonly #key: readonly [number, number];
  #draw = 0;

  constructor(seed: number) {
    this.#key = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
  }

  normal(count: number): Float32Array {
    const draw = this.#draw++;
    return Float32Array.from({ length: count }, (_, index) => {
      const [a, b] = philox4x32([draw, 0, index, 0], this.#key);
      const radius = Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
      return radius * Math.sin(((b + 0.5) / 2 ** 32) * 2 * Math.PI);
    });
  }
}
