import { renamed } from '../../weights/derived-weight.ts';
import type { Weight } from '../../weights/weight.ts';

/**
 * Another layout's tensor as diffusers has it: mostly one under another name, several where diffusers splits it, none
 * where diffusers has no use for it; `undefined` for a name that the layout does not have.
 */
export type Translate = (name: string, weight: Weight) => readonly Weight[] | undefined;

/** A pattern at a name's beginning, and what stands there in diffusers; what follows stays, or is looked up by further rules. */
export interface Rule {
  readonly from: RegExp;
  readonly to: (...numbers: readonly number[]) => string;
  readonly rest?: readonly Rule[];
}

/** A rule without numbers. */
export function rule(from: RegExp, to: string, rest?: readonly Rule[]): Rule {
  return { from, to: () => to, ...(rest ? { rest } : {}) };
}

/** The name that the first fitting rule gives; `undefined` when none fits. */
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

/** The translation that only renames. */
export function renaming(rules: readonly Rule[]): Translate {
  return (name, weight) => {
    const now = renameBy(rules, name);
    return now === undefined ? undefined : [renamed(weight, now)];
  };
}

/** The layout that is diffusers' own. */
export const asItIs: Translate = (name, weight) => [renamed(weight, name)];
