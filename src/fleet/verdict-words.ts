/** What came of an item: good enough, too far from its reference, not measured, or not made at all. */
export type ItemVerdict = (typeof verdicts)[number];

/** All verdicts. */
export const verdicts = ['pass', 'below the floor', 'not checked', 'failed'] as const;

/** Verdicts that make a run fail. */
const bad = ['below the floor', 'failed'] as const satisfies readonly ItemVerdict[];

/** Whether a verdict makes a run fail. */
export function isBad(verdict: ItemVerdict | undefined): boolean {
  return bad.some((each) => each === verdict);
}

/** How many verdicts make a run fail, each that there is in words: `2 below the floor`, `1 failed`. */
export function countBad(verdicts: readonly ItemVerdict[]): string[] {
  return bad.flatMap((each) => {
    const number = verdicts.filter((verdict) => verdict === each).length;
    return number > 0 ? [`${number} ${each}`] : [];
  });
}
