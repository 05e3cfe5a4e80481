import type { z } from 'zod';
import { shown } from './error-text.ts';

/**
 * What a schema takes in the place of what it refused, to follow "expected": `a whole number`, `at most 8`. A sentence of the schema's
 * own says it where there is one; zod's are for programmers.
 */
export function wanted(issue: z.core.$ZodIssue): string {
  if (!/^(Invalid|Too|Unrecognized) /.test(issue.message)) return issue.message.replace(/^expected /, '');
  switch (issue.code) {
    case 'invalid_type':
      return kinds[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return `${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return amount(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return amount(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'invalid_union':
      return alternatives(issue.errors);
    case 'invalid_key':
      return issue.issues[0] ? wanted(issue.issues[0]) : 'another key';
    case 'unrecognized_keys':
      return `no ${issue.keys.join(', ')}`;
    default:
      return 'something else';
  }
}

/** What each of several schemas takes; where some see the right kind of value, and what is wrong in it, those alone. */
function alternatives(branches: readonly (readonly z.core.$ZodIssue[])[]): string {
  const firsts = branches.flatMap(([issue]) => issue ?? []);
  const deep = firsts.filter(({ path }) => path.length > 0);
  const each = (deep.length > 0 ? deep : firsts).map((issue) => {
    const place = issue.path.map(String).join('.');
    return place === '' ? wanted(issue) : `${wanted(issue)} as ${place}`;
  });
  return [...new Set(each)].join(' or ');
}

/** The first thing that a schema refused, as the details of an error: its place, what is expected there and, where issues have it, what was found. */
export function whatIsWrong({ issues: [issue] }: z.core.$ZodError): Readonly<Record<string, string>> {
  if (!issue) return {};
  const found = issue.input === undefined ? '' : `, found ${shown(issue.input)}`;
  return { [issue.path.join('.') || 'it']: `expected ${wanted(issue)}${found}` };
}

function amount(origin: string, bound: string, number: number | bigint): string {
  if (origin === 'array' && bound === 'at least' && Number(number) === 1) return 'at least one';
  const what = { array: 'entries', string: 'letters' }[origin];
  return [bound, number, ...(what === undefined ? [] : [what])].join(' ');
}

/** What JSON's and YAML's kinds of values are called. */
export const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
  record: 'keys and values',
};
