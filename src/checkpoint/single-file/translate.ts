import { renamed } from '../../weights/derived-weight.ts';
import type { Weight } from '../../weights/weight.ts';

/**
 * Translates a tensor of another layout to diffusers': usually to one of another name, to several where diffusers
 * splits it, to none where diffusers does not use it; `undefined` for a name that the layout does not have.
 */
export type Translate = (name: string, weight: Weight) => readonly Weight[] | undefined;

/** A pattern for the beginning of a name, and its replacement; the rest is kept, or renamed by the rules of `rest`. */
export interface Rule {
  readonly from: RegExp;
  readonly to: (...numbers: readonly number[]) => string;
  readonly rest?: readonly Rule[];
}

/** Makes a rule without numbers. */
export function rule(from: RegExp, to: string, rest?: readonly Rule[]): Rule {
  return { from, to: () => to, ...(rest ? { rest } : {}) };
}

/** Renames by the first rule that matches; `undefined` when none does. */
export function renameBy(rules: readonly Rule[], name: string): string | undefined {
  for (const { from, to, rest } of rules) {
    const found = from.exec(name);
    if (found?.index !== 0) continue;
    const [head, ...numbers] = found;
    const tail = name.slice(head.length);
    const renamedTail = rest ? renameBy(rest, tail) : tail;
    return renamedTail === undefined ? undefined : to(...numbers.map(Number)) + renamedTail;
  }
  return undefined;
}

/** Makes a translation that only renames. */
export function renaming(rules: readonly Rule[]): Translate {
  return (name, weight) => {
    const now = renameBy(rules, name);
    return now === undefined ? undefined : [renamed(weight, now)];
  };
}

/** Translation of diffusers' own layout. */
export const unchanged: Translate = (name, weight) => [renamed(weight, name)];
