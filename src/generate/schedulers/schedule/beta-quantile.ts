/**
 * The quantile function of the symmetric beta distribution, Beta(a, a): the x in 0…1 with cumulative probability `p`.
 * Solved by bisection to the last bit on x^a·₂F₁(a, 1−a; a+1; x), which the cumulative distribution is proportional to;
 * its value at ½ is known by symmetry, so no Γ is needed. `a` above 0, up to about 10.
 */
export function betaQuantile(p: number, a: number): number {
  if (p > 0.5) return 1 - betaQuantile(1 - p, a);
  const target = 2 * p * unscaledShare(0.5, a);
  let [low, high] = [0, 0.5];
  for (;;) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) return middle;
    if (unscaledShare(middle, a) < target) low = middle;
    else high = middle;
  }
}

/** The integral of t^(a−1)·(1−t)^(a−1) from 0 to x ≤ ½, as a power series. */
function unscaledShare(x: number, a: number): number {
  let [term, sum] = [1, 1 / a];
  for (let n = 1; ; n++) {
    term *= ((n - a) / n) * x;
    const next = sum + term / (a + n);
    if (next === sum) return x ** a * sum;
    sum = next;
  }
}
