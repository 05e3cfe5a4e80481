import { RequestError } from '../src/errors.ts';

/** Bytes of the units of sizes, without their `B`; `K`, `M`, `G` and `T` alone are meant as they are spoken. */
const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** A smaller size lacks its unit: nothing of a model fits into it. */
const SMALLEST = 1000;

/** Parses a size: `1GB`, `800 MB`, `1.5e9` → bytes; units are decimal, `GiB` and `MiB` binary. Throws `RequestError`. */
export function parseBytes(text: string, option: string): number {
  const [, number = '', unit = ''] = /^\s*(\d+\.?\d*(?:e\d+)?|\.\d+)\s*([kmgt]?i?)b?\s*$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number || Number.NaN) * (units[unit.toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes >= SMALLEST) return bytes;
  throw new RequestError({
    problem:
      bytes >= 0 && bytes < SMALLEST
        ? `${option} ${text} is less than 1 kB.`
        : `${option} ${text} is not a size.`,
    advice:
      'Write a number and its unit, such as 800MB, 1.5GB or 2GiB; without a unit it is a number of bytes.',
  });
}

/**
 * Lists every member of a union of names; a missing one does not compile. This keeps the choices of an option equal to the
 * library's, without loading the library for help.
 */
export function everyName<Name extends string>(names: Readonly<Record<Name, true>>): readonly Name[] {
  // as: Object.keys gives strings; the table has exactly these keys.
  return Object.keys(names) as Name[];
}

/** Checks an option that counts something. Throws `RequestError` unless it is a whole number of at least `least`. */
export function wholeNumber(value: number, option: string, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  const range =
    value > Number.MAX_SAFE_INTEGER ? `from ${least} to ${Number.MAX_SAFE_INTEGER}` : `of at least ${least}`;
  throw new RequestError({ problem: `${option} ${value} is not a whole number ${range}.` });
}

/** Parses two whole numbers of at least 0, `1024,768`; `undefined` without a text. Throws `RequestError`. */
export function wholePair(text: string | undefined, option: string): readonly [number, number] | undefined {
  if (text === undefined) return undefined;
  const [, first, second] = /^\s*(\d+)\s*[,x×]\s*(\d+)\s*$/.exec(text) ?? [];
  if (first !== undefined && second !== undefined) return [Number(first), Number(second)];
  throw new RequestError({
    problem: `${option} ${text} is not two whole numbers.`,
    advice: 'Separate them with a comma, such as 1024,768.',
  });
}
