import { RequestError } from '../src/errors.ts';
import type { DeclaredOptions } from './declared-options.ts';
import { kebab } from './kebab.ts';

/**
 * Checks what yargs does not: options as they were given (`checkGiven`), and their values (`argv`). Passed to yargs' `check`, whose
 * second argument is the declared options, whatever its types say. Throws `RequestError`.
 */
export function checkOptions(
  args: readonly string[],
  argv: Readonly<Record<string, unknown>>,
  options: unknown,
): true {
  const declared = options as DeclaredOptions; // as: see above
  checkGiven(args, declared);
  checkValues(argv, declared);
  return true;
}

/**
 * Checks options as they were given, where yargs makes something else of them without a word: `--dry-run=yes` is false to it,
 * `--no-output` the value false, `--no-min-psnr` and `--min-psnr=` the number 0. Throws `RequestError`.
 */
export function checkGiven(args: readonly string[], declared: DeclaredOptions): void {
  const { boolean, number } = declared;
  const end = args.indexOf('--');
  let last = ''; // the option that values belong to
  for (const arg of end < 0 ? args : args.slice(0, end)) {
    const [, given, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (given === undefined) {
      if (arg.trim() === '' && number.includes(last)) throw emptyOption(last);
      continue;
    }
    const name = kebab(given.replace(/^no-/, ''));
    last = ownName(name, declared);
    const isSwitch = boolean.includes(last);
    if (arg.startsWith('--no-') && Object.hasOwn(declared.key, last) && !isSwitch) throw noSwitch(name);
    if (isSwitch && value !== undefined && !/^(true|false)$/.test(value)) throw noValue(given, value);
    if (value?.trim() === '' && number.includes(last)) throw emptyOption(name);
  }
}

/** The name under which an option with aliases was declared. */
function ownName(name: string, { alias }: DeclaredOptions): string {
  return Object.entries(alias).find(([, others]) => others.includes(name))?.[0] ?? name;
}

/** Texts of which none is one, too. */
const mayBeEmpty: ReadonlySet<string> = new Set(['prompt', 'negative-prompt', 'negativePrompt']);

/** Refuses several values for an option that has one, numbers that are none, and what is empty. Throws `RequestError`. */
function checkValues(argv: Readonly<Record<string, unknown>>, { array, number, key }: DeclaredOptions): void {
  for (const name of Object.keys(key)) {
    const value = argv[name];
    if (Array.isArray(value) && !array.includes(name)) {
      throw new RequestError({
        problem: `${dashed(name)} takes one value, but is given ${value.length}: ${value.join(', ')}.`,
        advice: 'Pass it once.',
      });
    }
    if ([value].flat().includes('') && !mayBeEmpty.has(name)) throw emptyOption(name);
    const isNumber = Array.isArray(value) ? value.every(Number.isFinite) : Number.isFinite(value);
    if (number.includes(name) && name in argv && !isNumber)
      throw new RequestError({ problem: `${dashed(name)} takes a number, but is given something else.` });
  }
}

/** The error for an option whose value is no text at all. */
function emptyOption(name: string): RequestError {
  return new RequestError({
    problem: `${dashed(name)} is empty.`,
    advice: 'Leave it out, or give it something: a variable of your shell may be unset.',
  });
}

function noSwitch(name: string): RequestError {
  return new RequestError({
    problem: `--no-${name} turns nothing off: --${name} takes a value.`,
    advice: 'Leave it out to have the default.',
  });
}

function noValue(name: string, value: string): RequestError {
  return new RequestError({
    problem: `${dashed(name)} is on or off, and takes no value such as ${value === '' ? 'an empty one' : value}.`,
    advice: `Write ${dashed(name)}, or leave it out.`,
  });
}

/** `-o`, `--output`. */
function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}
