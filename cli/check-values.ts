import { RequestError } from '../src/errors.ts';

/** Declared options, as yargs keeps them. */
interface DeclaredOptions {
  readonly array: readonly string[];
  readonly number: readonly string[];
  readonly key: Readonly<Record<string, unknown>>;
}

/** Texts of which none is one, too. */
const mayBeEmpty: ReadonlySet<string> = new Set(['prompt', 'negative-prompt', 'negativePrompt']);

/**
 * Checks what yargs does not: options with one value that are given several, and number options without a number. Passed
 * to yargs' `check`, whose second argument is the declared options, whatever its types say. Throws `RequestError`.
 */
export function checkValues(argv: Readonly<Record<string, unknown>>, declared: unknown): true {
  const { array, number, key } = declared as DeclaredOptions; // as: see above
  for (const name of Object.keys(key)) {
    const value = argv[name];
    const option = name.length === 1 ? `-${name}` : `--${name}`;
    if (Array.isArray(value) && !array.includes(name)) {
      throw new RequestError({
        problem: `${option} takes one value, but is given ${value.length}: ${value.join(', ')}.`,
        advice: 'Pass it once.',
      });
    }
    if (value === '' && !mayBeEmpty.has(name)) {
      throw new RequestError({
        problem: `${option} is empty.`,
        advice: 'Leave it out, or give it something: a variable of your shell may be unset.',
      });
    }
    const isNumber = Array.isArray(value) ? value.every(Number.isFinite) : Number.isFinite(value);
    if (number.includes(name) && name in argv && !isNumber)
      throw new RequestError({ problem: `${option} takes a number, but is given something else.` });
  }
  return true;
}
