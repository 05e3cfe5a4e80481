import { milDTypes } from './mil-dtype.ts';

/** Words of the text form of a program (`model.mil`): a value with such a name could not be read back. */
const reserved = new Set([
  ...'program func block tensor list tuple dict state true false BLOBFILE inf nan'.split(' '),
  ...Object.keys(milDTypes),
]);

/** Hands out the names of values: legal identifiers, each once. */
export class MilNames {
  readonly #taken = new Set<string>();
  readonly #copies = new Map<string, number>();

  /** Takes a name as it is. Throws `Error` when it is not an identifier, or taken: names of inputs and outputs are fixed by their consumers. */
  reserve(name: string): void {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || reserved.has(name))
      throw new Error(`${name} is not an identifier`);
    if (this.#taken.has(name)) throw new Error(`two inputs or outputs are called ${name}`);
    this.#taken.add(name);
  }

  /** A free identifier that follows the wish: `down_blocks.0.norm1/silu` gives `down_blocks_0_norm1_silu`, `_1`, `_2` … */
  claim(wish: string): string {
    const plain = wish.replaceAll(/[^A-Za-z0-9_]/g, '_');
    const base = /^[A-Za-z_]/.test(plain) && !reserved.has(plain) ? plain : `var_${plain}`;
    let copy = this.#copies.get(base) ?? 0;
    let name = base;
    while (this.#taken.has(name)) name = `${base}_${++copy}`;
    this.#copies.set(base, copy);
    this.#taken.add(name);
    return name;
  }
}
