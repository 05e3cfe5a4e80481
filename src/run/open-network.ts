import type { Runner, RunnerOptions } from '../formats/runner.ts';
import { withAnyRows } from './any-rows.ts';
import { openChain } from './chain.ts';

/**
 * Loads a model, or the chunks of one, to be fed under any contract's names and layouts with any number of rows. Throws
 * as `openChain` does.
 */
export async function openNetwork(paths: readonly string[], options: RunnerOptions): Promise<Runner> {
  return withAnyRows(await openChain(paths, options));
}
