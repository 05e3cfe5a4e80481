import { expect, test } from 'vitest';
import { buildGraphs } from '../../benchmarks/build-graphs.ts';

// Measured 0.07 to 0.41 s in a fresh process on two busy cores.
test.for([
  ['sd15', 'ORIGINAL'],
  ['sd15', 'SPLIT_EINSUM_V2'],
  ['sd21', 'ORIGINAL'],
  ['sd21', 'SPLIT_EINSUM_V2'],
] as const)(
  'all graphs of %s at full size with %s attention are built in under a second',
  ([model, attention]) => {
    const { seconds, graphs } = buildGraphs(model, attention);
    expect(graphs).toBe(4);
    expect(seconds).toBeLessThan(1);
  },
);
