import { matrixProduct } from './composites.ts';
import type { FixedValue, OperationWriter } from './operation-writer.ts';

/**
 * Einstein summation of two operands as a product of matrices: letters that both have and the result keeps are its batch,
 * those that the result lacks are summed over, the others are rows and columns.
 */
export function einsum(
  write: OperationWriter,
  equation: string,
  [a, b]: readonly [FixedValue, FixedValue],
): FixedValue {
  const [operands = '', result = ''] = equation.split('->');
  const [left = '', right = ''] = operands.split(',');
  const sizes = new Map<string, number>();
  for (const [letters, { type }] of [
    [left, a],
    [right, b],
  ] as const)
    for (const [axis, letter] of [...letters].entries()) sizes.set(letter, type.shape[axis] ?? 0);
  const only = (letters: string, keep: (letter: string) => boolean): string[] => [...letters].filter(keep);
  const batch = only(left, (letter) => right.includes(letter) && result.includes(letter));
  const summed = only(left, (letter) => right.includes(letter) && !result.includes(letter));
  const rows = only(left, (letter) => !right.includes(letter));
  const columns = only(right, (letter) => !left.includes(letter));
  const sizeOf = (letters: readonly string[]): number =>
    letters.reduce((product, letter) => product * (sizes.get(letter) ?? 0), 1);
  const arrange = (x: FixedValue, from: string, groups: readonly (readonly string[])[]): FixedValue => {
    const perm = groups.flat().map((letter) => from.indexOf(letter));
    const turned = perm.every((axis, at) => axis === at) ? x : write.transpose(x, perm);
    return write.reshape(turned, groups.map(sizeOf));
  };
  const product = matrixProduct(
    write,
    arrange(a, left, [batch, rows, summed]),
    arrange(b, right, [batch, summed, columns]),
  );
  const order = [...batch, ...rows, ...columns];
  const apart = write.reshape(
    product,
    order.map((letter) => sizes.get(letter) ?? 0),
  );
  const perm = [...result].map((letter) => order.indexOf(letter));
  return perm.every((axis, at) => axis === at) ? apart : write.transpose(apart, perm);
}
