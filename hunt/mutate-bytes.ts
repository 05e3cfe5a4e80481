import type { Random } from './random.ts';

/** Inputs stay small: what costs much must not come from their own size. */
export const LARGEST_INPUT = 1 << 18;

/** Numbers at which things change: signs, widths, what does not fit a float64 exactly. */
const numbers: readonly bigint[] = [
  ...[0n, 1n, 2n, 3n, 7n, 8n, 16n, 64n, 127n, 255n, 1000n, 4096n, 65535n],
  ...[15n, 16n, 24n, 30n, 31n, 32n, 40n, 53n, 62n, 63n].flatMap((bits) => [2n ** bits, 2n ** bits - 1n]),
  ...[-1n, -2n, -64n, -(2n ** 31n), -(2n ** 63n)],
];

/** A whole number that programs like to get wrong. */
export function oddNumber(random: Random): bigint {
  return random.oneIn(4) ? BigInt(random.below(1 << 16)) : random.pick(numbers);
}

/** Changes bytes without any idea of what they mean. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.below(256));
  const start = random.below(bytes.length);
  const end = Math.min(bytes.length, start + random.length(bytes.length));
  return random.pick(changes)(bytes, random, start, end);
}

type Change = (bytes: Uint8Array, random: Random, start: number, end: number) => Uint8Array;

const changes: readonly Change[] = [
  (bytes, random, start) => overwritten(bytes, start, [(bytes[start] ?? 0) ^ (1 << random.below(8))]),
  (bytes, random, start) => overwritten(bytes, start, [random.below(256)]),
  (bytes, random, start) =>
    overwritten(bytes, start, littleEndian(oddNumber(random), random.pick([1, 2, 4, 8]))),
  (bytes, random, start) =>
    overwritten(bytes, start, littleEndian(oddNumber(random), random.pick([2, 4, 8])).reverse()),
  (bytes, _random, start) => bytes.slice(0, start),
  (bytes, _random, start, end) => spliced(bytes, start, end),
  (bytes, _random, start, end) => spliced(bytes, end, end, bytes.subarray(start, end)),
  (bytes, random, start, end) => repeated(bytes, start, end, random.length(1000)),
  (bytes, random, start) => spliced(bytes, start, start, noise(random, random.length(100))),
  (bytes, random, start, end) => spliced(bytes, start, end, noise(random, Math.min(end - start, 64))),
  (bytes, _random, start, end) => new Uint8Array(bytes).fill(0, start, end),
  (bytes, random, start, end) => spliced(bytes, random.below(bytes.length), end, bytes.subarray(start, end)),
];

/** A number in so many bytes. */
export function littleEndian(value: bigint, width: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes.slice(0, width);
}

/** The bytes with others over them from `start` on; the length stays. */
export function overwritten(bytes: Uint8Array, start: number, others: ArrayLike<number>): Uint8Array {
  const changed = new Uint8Array(bytes);
  for (let i = 0; i < others.length && start + i < changed.length; i++) changed[start + i] = others[i] ?? 0;
  return changed;
}

/** The bytes with others in the place of those from `start` to `end`. */
export function spliced(
  bytes: Uint8Array,
  start: number,
  end: number,
  others: Uint8Array = new Uint8Array(),
): Uint8Array {
  const [first, last] = [Math.min(start, end), Math.max(start, end)];
  return new Uint8Array(
    Buffer.concat([bytes.subarray(0, first), others, bytes.subarray(last)]).subarray(0, LARGEST_INPUT),
  );
}

function repeated(bytes: Uint8Array, start: number, end: number, times: number): Uint8Array {
  const stretch = bytes.subarray(start, end);
  const most = Math.max(1, Math.min(times, Math.floor(LARGEST_INPUT / 4 / stretch.length)));
  return spliced(bytes, end, end, Buffer.concat(new Array<Uint8Array>(most).fill(stretch)));
}

function noise(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}
