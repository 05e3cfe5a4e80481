import { expect, test } from 'vitest';
import { betaQuantile } from '../../../src/generate/schedulers/schedule/beta-quantile.ts';

// scipy.stats.beta.ppf(p, 0.6, 0.6), SciPy 1.17.1.
test.each([
  [0, 0.0],
  [0.001, 1.855873851745199e-5],
  [0.1, 0.03958440558878085],
  [0.3, 0.23401700387523572],
  [0.5, 0.5000000000000001],
  [0.7, 0.7659829961247643],
  [0.95, 0.9874455431263885],
  [1, 1.0],
])('the quantile of Beta(0.6, 0.6) at %f is SciPy’s', (p, x) => {
  expect(betaQuantile(p, 0.6)).toBeCloseTo(x, 14);
});

test('the quantile of the uniform distribution is the share itself', () => {
  for (const p of [0, 0.125, 0.5, 0.75, 1]) expect(betaQuantile(p, 1)).toBeCloseTo(p, 15);
});
