import type { NoiseLevel } from '../prediction.ts';

/**
 * Weights of the sample and of the last one to three noise predictions in a DEIS step. The integrals of Lagrange
 * polynomials of ln ρ over ρ nearly cancel, and diffusers subtracts them in float32, which is visible (up to 2e-4 of the
 * sample). So every operation here is rounded to float32, in diffusers' order.
 */
export function deisWeights([start, ...earlier]: readonly [NoiseLevel, ...NoiseLevel[]], end: NoiseLevel) {
  if (earlier.length === 0) return firstOrder(start, end);
  const rhos = [start, ...earlier].map(({ alpha, sigma }) => round(sigma / alpha));
  const [rhoEnd, rhoStart = 0] = [round(end.sigma / end.alpha), rhos[0]];
  const noises = rhos.map((own, i) => {
    // diffusers rotates the list so that each point comes first in turn.
    const [b, c, d] = [own, ...rhos.slice(i + 1), ...rhos.slice(0, i)].map(log);
    const integral = (rho: number) =>
      d === undefined ? lineIntegral(rho, b ?? 0, c ?? 0) : parabolaIntegral(rho, b ?? 0, [c ?? 0, d]);
    return end.alpha * round(integral(rhoEnd) - integral(rhoStart));
  });
  return { sample: end.alpha / start.alpha, noises };
}

function firstOrder(start: NoiseLevel, end: NoiseLevel) {
  const lambda = ({ alpha, sigma }: NoiseLevel) => round(log(alpha) - log(sigma));
  const h = round(lambda(end) - lambda(start));
  const grown = round(round(Math.exp(h)) - 1);
  return { sample: round(end.alpha / start.alpha), noises: [-round(end.sigma * grown)] };
}

/** ∫ (ln ρ − c) / (b − c) dρ at ρ. */
function lineIntegral(rho: number, b: number, c: number): number {
  return round(round(rho * round(round(-c + log(rho)) - 1)) / round(b - c));
}

/** ∫ (ln ρ − c)(ln ρ − d) / ((b − c)(b − d)) dρ at ρ. */
function parabolaIntegral(rho: number, b: number, [c, d]: readonly [number, number]): number {
  const l = log(rho);
  let sum = round(c * round(round(d - l) + 1));
  sum = round(sum - round(d * l));
  sum = round(round(sum + d) + round(l * l));
  sum = round(round(sum - round(2 * l)) + 2);
  return round(round(rho * sum) / round(round(b - c) * round(b - d)));
}

const round = Math.fround;

function log(value: number): number {
  return round(Math.log(value));
}

/** Noise level of a ratio, or of a flow's share of noise, in float32 arithmetic. */
export function roundedLevel(sigma: number, flow: boolean): NoiseLevel {
  if (flow) return { alpha: round(1 - sigma), sigma };
  const alpha = round(1 / round(Math.sqrt(round(round(sigma * sigma) + 1))));
  return { alpha, sigma: round(sigma * alpha) };
}
