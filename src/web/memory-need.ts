import type { MemoryNeed } from './web-plan.ts';

/** Weights of a network, in bytes. */
export interface WeightBytes {
  /** Bytes of its files. */
  readonly stored: number;
  /** The same as float32, in which WASM computes. */
  readonly asFloat32: number;
}

/** The most that WASM can address. */
export const WASM_BYTES = 2 ** 32;

/** Memory for values between operations, and of the browser's tab itself: measured 0.3 GB with the smallest model. */
const BASE_BYTES = 300e6;

/**
 * Estimates what a browser needs: one network is loaded at a time, while it loads its files are there beside the session's
 * own copy of the weights; in WASM that is float32, on a GPU as stored.
 */
export function memoryNeed(networks: readonly WeightBytes[]): MemoryNeed {
  const most = (bytes: (network: WeightBytes) => number) => BASE_BYTES + Math.max(0, ...networks.map(bytes));
  return {
    wasm: most(({ stored, asFloat32 }) => stored + asFloat32),
    webGpu: most(({ stored }) => 2 * stored),
  };
}
