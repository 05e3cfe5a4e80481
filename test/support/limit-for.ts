/** A limit of memory that leaves so much to the largest part of a run: the rest is the processes, and what is freed but kept. */
export function limitFor(largestPart: number): number {
  return (300e6 + largestPart) / (1 - 1 / 16);
}
