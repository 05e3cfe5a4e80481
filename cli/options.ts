import { RequestError } from '../src/errors.ts';

/** Parses a size: `1GB`, `800 MB`, `1.5e9` → bytes; units are decimal, `GiB` and `MiB` binary. Throws `RequestError`. */
export function parseBytes(text: string, option: string): number {
  const [, number = '', unit = ''] = /^\s*([\d.]+(?:e\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
  const factor = { '': 1, b: 1, kb: 1e3, mb: 1e6, gb: 1e9, mib: 2 ** 20, gib: 2 ** 30 }[unit.toLowerCase()];
  const bytes = Number(number) * (factor ?? Number.NaN);
  if (Number.isFinite(bytes) && bytes > 0) return Math.floor(bytes);
  throw new RequestError({
    problem: `${option} ${text} is not a size.`,
    advice: 'Write it as 1GB, 800MB or a number of bytes.',
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
  throw new RequestError({ problem: `${option} ${value} is not a whole number of at least ${least}.` });
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
