import type { Random } from './random.ts';

/** Files of an input by their paths: their bytes, or the path of an intact file that they are links to. */
export type Files = ReadonlyMap<string, Uint8Array | string>;

/** Makes other bytes of the same structure, more or less. */
export type Mutator = (bytes: Uint8Array, random: Random) => Uint8Array;

/** What the hunt knows of something that sdconvert reads. */
export interface Format {
  /** Name in rows and on the command line. */
  readonly name: string;
  /** Intact inputs, from which all others are made. */
  seeds(): Promise<readonly Files[]>;
  /** Which of an input's files are changed, and how. */
  readonly parts: readonly Part[];
  /**
   * Reads the input in `folder` the way commands do, as far as they would go. May throw what users cause
   * (`SdConvertError`); everything else is a finding. Returns `false` for an input that says nothing about reading.
   */
  read(folder: string): Promise<unknown>;
}

/** Files that are changed in the same ways. */
interface Part {
  readonly files: RegExp;
  readonly mutators: readonly Mutator[];
}

/** Most changes to one input. */
const MOST_CHANGES = 4;

/** Another input from an intact one, by a few changes. */
export function mutated({ parts }: Format, files: Files, random: Random): Files {
  const changed = new Map(files);
  const changes = random.length(MOST_CHANGES);
  for (let change = 0; change < changes; change++) {
    const candidates = parts.flatMap(({ files: names, mutators }) =>
      [...changed].flatMap(([name, bytes]) =>
        names.test(name) && typeof bytes !== 'string' ? [{ name, bytes, mutators }] : [],
      ),
    );
    const { name, bytes, mutators } = random.pick(candidates);
    changed.set(name, random.pick(mutators)(bytes, random));
  }
  return changed;
}
