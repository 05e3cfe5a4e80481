import { z } from 'zod';
import { RequestError } from '../errors.ts';
import { didYouMean } from '../text.ts';
import { wanted } from './wanted.ts';

/** Checks of calls of library functions, for callers without a type checker. */

/** A text that is not empty. */
export const text = z.string().min(1, 'expected a text, and this is empty');

/** An object of any fields. */
export const object = z.looseObject({});

export const number = z.number();

/** How many of something there are. */
export const size = z
  .int()
  .min(1)
  .max(1 << 16);

/** Whatever a test says yes to; `what` completes "expected …". */
export function anything(what: string, test: (value: object) => boolean): z.ZodType {
  const isSuch = (value: unknown): boolean => typeof value === 'object' && value !== null && test(value);
  return z.custom(isSuch, `expected ${what}`);
}

export const numbers = anything(
  'an array of numbers',
  (value) => typeof Reflect.get(value, 'length') === 'number',
);

export const bytes = anything('a Uint8Array', (value) => ArrayBuffer.isView(value));

export const list = anything('a list', (value) => Symbol.iterator in value);

/**
 * Checks arguments by their names. Throws a `RequestError` that names the function, the argument and what is expected.
 *
 * @example checkArguments('psnr', { reference: [undefined, numbers] }) // RequestError: psnr was called wrongly: reference is missing.
 */
export function checkArguments(
  called: string,
  given: Readonly<Record<string, readonly [value: unknown, schema: z.ZodType]>>,
): void {
  for (const [name, [value, schema]] of Object.entries(given)) checkCall(called, schema, value, name);
}

/** Checks one argument; fields of it are named behind `name`. Throws as `checkArguments`. */
export function checkCall(called: string, schema: z.ZodType, given: unknown, name?: string): void {
  const [issue] = schema.safeParse(given).error?.issues ?? [];
  if (!issue) return;
  const field = [...(name === undefined ? [] : [name]), ...issue.path.map(String)].join('.');
  const found = issue.path.reduce<unknown>((value, key) => valueAt(value, key), given);
  const problem =
    found === undefined ? `${field || 'the request'} is missing` : `${field || 'the request'} is wrong`;
  throw new RequestError({
    problem: `${called} was called wrongly: ${problem}.`,
    ...(found === undefined ? {} : { details: { found: shown(found), expected: wanted(issue) } }),
    ...choiceIn(issue, found),
  });
}

/** Of a name that is nearly one of those that are allowed. */
function choiceIn(issue: z.core.$ZodIssue, found: unknown): { readonly advice?: string } {
  if (issue.code !== 'invalid_value' || typeof found !== 'string') return {};
  const advice = didYouMean(found, issue.values.map(String)).trimEnd();
  return advice === '' ? {} : { advice };
}

function valueAt(value: unknown, key: PropertyKey): unknown {
  if (value instanceof Map) return value.get(key);
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function shown(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
  return kind === 'Object' ? 'an object' : kind === 'Array' ? 'a list' : `a ${kind}`;
}
