import { basename } from 'node:path';
import { FileFormatError, UnusedWeightError } from '../../errors.ts';
import { count } from '../../text.ts';

/** Most groups that a note names. */
const MOST_GROUPS = 6;

/** Note that lists the tensors outside of a file's networks, grouped and counted. */
export function leftOverNote(path: string, left: readonly string[]): string {
  const groups = [...Map.groupBy(left, (name) => name.split('.')[0] ?? '').values()]
    .map((names) => ({ path: commonPath(names), size: names.length }))
    .sort((a, b) => b.size - a.size);
  const named = groups
    .slice(0, MOST_GROUPS)
    .map(({ path: each, size }) => (size === 1 ? each : `${each} (${size})`));
  const more = groups.length - named.length;
  const list = `${named.join(', ')}${more > 0 ? ` and ${count(more, 'other name')}` : ''}`;
  return `${basename(path)} has ${count(left.length, 'tensor')} outside of its networks, ignored: ${list}.`;
}

/** Error for tensors outside of the networks, with `strict`. */
export function leftOverError(path: string, left: readonly string[]): UnusedWeightError {
  const [first = ''] = left;
  return new UnusedWeightError({
    problem: `${path} has ${count(left.length, 'tensor')} that no network of Stable Diffusion has.`,
    details: { first, tensors: left.length.toLocaleString('en') },
    advice: 'Leave out --strict to convert the networks and ignore these.',
  });
}

/** Error for objects of unknown classes in a file, with `strict`. */
export function unknownObjects(path: string, [first = '']: readonly string[]): FileFormatError {
  return new FileFormatError({
    problem: `${path} holds an object of ${first}, which weights do not need; nothing was run.`,
    advice: 'Leave out --strict to read the tensors and ignore it.',
  });
}

/** The dotted path that all names share; of a single name, all of it. */
function commonPath(names: readonly string[]): string {
  const [first = '', ...others] = names.map((name) => name.split('.'));
  const parts = [...first];
  const shared = parts.findIndex((part, at) => others.some((other) => other[at] !== part));
  return parts.slice(0, shared < 0 ? parts.length : Math.max(1, shared)).join('.');
}
