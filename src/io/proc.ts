import { readFileSync, readlinkSync } from 'node:fs';

/** What Linux tells of itself and of a process in `/proc`; nothing where there is no such place. */

/** The text of a file: `self/status`. */
export function procText(name: string): string {
  return orNothing(() => readFileSync(`/proc/${name}`, 'utf8'));
}

/** Where a link leads: `self/ns/pid`. */
export function procLink(name: string): string {
  return orNothing(() => readlinkSync(`/proc/${name}`));
}

function orNothing(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}
