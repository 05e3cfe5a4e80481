/** The sets of operations that an ML Program can be written for, by the iOS version whose name Core ML gives them. */
const opsets: ReadonlyMap<string, number> = new Map([
  ['CoreML5', 15],
  ['CoreML6', 16],
  ['CoreML7', 17],
  ['CoreML8', 18],
  ['CoreML9', 19],
]);

/** The iOS version of a function's `opset`, e.g. 16 for `CoreML6`; `undefined` for one that is not known. */
export function iosOfOpset(opset: string): number | undefined {
  return opsets.get(opset);
}

/** The `opset` of a function that a program's text calls `ios16`, say; `undefined` for one that is not known. */
export function opsetOfTag(tag: string): string | undefined {
  for (const [opset, ios] of opsets) if (tag === `ios${ios}`) return opset;
  return undefined;
}
