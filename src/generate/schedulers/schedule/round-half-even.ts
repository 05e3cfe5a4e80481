/** The nearest whole number, of two equally near the even one, as NumPy rounds. For numbers that are not negative. */
export function roundHalfEven(value: number): number {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 !== 0 ? up - 1 : up;
}
