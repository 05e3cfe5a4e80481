import { makeRandomWeights } from './random-weights.ts';

/** Runs once, before the first test of any file (vitest.config.ts). */
export const setup = (): Promise<void> => makeRandomWeights();
