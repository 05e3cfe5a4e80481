import { basename } from 'node:path';
import { FileFormatError, UnusedWeightError } from '../../errors.ts';
import { count } from '../../text.ts';

/** Groups that a note names. */
const MOST_GROUPS = 6;

/** A sentence that names what lies in a file beside its networks, with counts. */
export function leftOverNote(path: string, left: readonly string[]): string {
  const groups = [...Map.groupBy(left, (name) => name.split('.')[0] ?? '').values()]
    .map((names) => ({ path: commonPath(names), size: names.length }))
    .sort((a, b) => b.size - a.size);
  const named = groups
    .slice(0, MOST_GROUPS)
    .map(({ path: each, size }) => (size === 1 ? each : `${each} (${size})`));
  const more = groups.length - named.length;
  const list = `${named.join(', ')}${more > 0 ? ` and ${count(more, 'other name')}` : ''}`;
  return `${basename(path)} has ${count(left.length, 'tensor')} of no network, left aside: ${list}.`;
}

/** Refuses what lies beside the networks. */
export function leftOverError(path: string, left: readonly string[]): UnusedWeightError {
  const [first = ''] = left;
  return new UnusedWeightError({
    problem: `${path} has ${count(left.length, 'tensor')} that no network of Stable Diffusion has.`,
    details: { first, tensors: left.length.toLocaleString('en') },
    advice: 'Leave out --strict to convert the networks and leave these aside.',
  });
}

/** Refuses a file that holds objects of classes that nobody knows. */
export function unknownObjects(path: string, [first = '']: readonly string[]): FileFormatError {
  return new FileFormatError({
    problem: `${path} holds an object of ${first}, which weights have no need of; nothing was run.`,
    advice: 'Leave out --strict to read the tensors and leave it aside.',
  });
}

/** The dotted path that all names share, the whole name where there is one. */
function commonPath(names: readonly string[]): string {
  const [first = '', ...others] = names.map((name) => name.split('.'));
  const parts = [...first];
  const shared = parts.findIndex((part, at) => others.some((other) => other[at] !== part));
  return parts.slice(0, shared < 0 ? parts.length : Math.max(1, shared)).join('.');
}
