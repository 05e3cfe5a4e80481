import { throwIfInterrupted } from '../context.ts';
import type { InputCase } from '../convert/networks/realistic.ts';
import type { Runner, TensorMap } from '../formats/runner.ts';
import { feedsFor } from '../run/feeds.ts';
import { openRunner } from '../run/open-runner.ts';
import { psnrOf } from './analysis.ts';
import { peakOf, squaredDistance } from './segmented-model.ts';

/** Computes a model's outputs for each case. */
export async function outputsOf(
  path: string,
  cases: readonly InputCase[],
  signal: AbortSignal | undefined,
): Promise<TensorMap[]> {
  const runner: Runner = await openRunner(path, { optimize: true });
  try {
    const outputs: TensorMap[] = [];
    for (const { tensors } of cases) {
      throwIfInterrupted(signal);
      outputs.push(await runner.run(feedsFor(runner, tensors)));
    }
    return outputs;
  } finally {
    await runner.close();
  }
}

/** The PSNR in dB over all cases: the largest value of all against the mean squared error of all. */
export function psnrOfAll(expected: readonly TensorMap[], found: readonly TensorMap[]): number {
  let [squares, count, peak] = [0, 0, 0];
  for (const [index, outputs] of expected.entries()) {
    const distance = squaredDistance(outputs, found[index] ?? new Map());
    squares += distance.squares;
    count += distance.count;
    for (const tensor of outputs.values()) peak = Math.max(peak, peakOf(tensor));
  }
  return psnrOf(squares / count, peak);
}
