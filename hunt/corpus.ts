import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Files, Format } from './format.ts';

/** Most inputs that a run keeps beside the intact ones. */
const MOST = 2000;

/**
 * Inputs that others are made from: the intact ones, and in long hunts those that were refused by a sentence that no other
 * was, or accepted in a new size. They are kept in a folder outside of the project, and the next hunt begins with them.
 */
export class Corpus {
  readonly #inputs: Files[];
  readonly #seen = new Set<string>();
  readonly #folder: string | undefined;

  constructor(seeds: readonly Files[], folder?: string) {
    this.#inputs = [...seeds];
    this.#folder = folder;
    if (folder === undefined) return;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder))
      this.#inputs.push(unpack(readFileSync(join(folder, name), 'utf8')));
  }

  get inputs(): readonly Files[] {
    return this.#inputs;
  }

  /** Keeps an input that did something new. */
  learn(files: Files, refusal: string | undefined): void {
    if (this.#folder === undefined || this.#inputs.length >= MOST) return;
    const behaviour = (refusal ?? `accepted ${[...files.keys()]}`).replaceAll(/["“][^"”]*["”]|\d+/g, '…');
    if (this.#seen.has(behaviour)) return;
    this.#seen.add(behaviour);
    this.#inputs.push(files);
    const text = pack(files);
    const path = join(this.#folder, createHash('sha256').update(text).digest('hex').slice(0, 16));
    if (!existsSync(path)) writeFileSync(path, text);
  }
}

/** A file's changed contents as text, links as they are. */
export function pack(files: Files): string {
  const entries = [...files].map(([name, bytes]) => [
    name,
    typeof bytes === 'string' ? { link: bytes } : { base64: Buffer.from(bytes).toString('base64') },
  ]);
  return JSON.stringify(Object.fromEntries(entries));
}

/** The files that `pack` made a text of. */
export function unpack(text: string): Files {
  const entries: Record<string, { link?: string; base64?: string }> = JSON.parse(text);
  return new Map(
    Object.entries(entries).map(([name, { link, base64 = '' }]) => [
      name,
      link ?? new Uint8Array(Buffer.from(base64, 'base64')),
    ]),
  );
}

/** The intact inputs of a format that have something to change, which a hunt cannot do without. */
export async function seedsOf(format: Format): Promise<readonly Files[]> {
  const names = format.parts.map(({ files }) => files);
  const seeds = (await format.seeds()).filter((files) =>
    [...files.keys()].some((name) => names.some((fits) => fits.test(name))),
  );
  if (seeds.length === 0) throw new Error(`${format.name} has no intact inputs`);
  return seeds;
}
