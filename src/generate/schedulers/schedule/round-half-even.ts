/** Rounds to the nearest whole number, ties to even, as NumPy does. For non-negative numbers. */
export function roundHalfEven(value: number): number {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}
