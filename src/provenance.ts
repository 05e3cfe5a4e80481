import { join } from 'node:path';
import type { WrittenFile } from './emit/artifact.ts';
import { OutputExistsError } from './errors.ts';
import { version } from './version.ts';
import { exists, openFile, readText, writeText } from './weights/disk.ts';

/**
 * `sdconvert.json`: what each artifact of an output folder was made from, with which options, and what was written. It
 * lets a second run keep what is there, and holds no time, path or machine: the same input gives the same file.
 */
export interface Provenance {
  readonly sdconvert: string;
  readonly artifacts: Readonly<Record<string, ArtifactRecord>>;
}

/** How one artifact was made. */
export interface ArtifactRecord {
  /** SHA-256 of each file of the checkpoint it was made from. */
  readonly source: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly files: readonly WrittenFile[];
}

const FILE = 'sdconvert.json';

/** The provenance in an output folder; empty where there is none. */
export async function readProvenance(output: string): Promise<Provenance> {
  const path = join(output, FILE);
  if (!(await exists(path))) return { sdconvert: version, artifacts: {} };
  try {
    // Written by `writeProvenance` below; anything else fails the comparisons, and the artifact counts as unknown.
    const { artifacts } = JSON.parse(await readText(path)) as Provenance;
    return { sdconvert: version, artifacts: artifacts ?? {} };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { sdconvert: version, artifacts: {} };
  }
}

/** Adds records to an output folder's provenance, replacing those of the same artifacts. */
export async function addProvenance(
  output: string,
  records: Readonly<Record<string, ArtifactRecord>>,
): Promise<void> {
  const { artifacts } = await readProvenance(output);
  const all = Object.entries({ ...artifacts, ...records }).sort(([a], [b]) => (a < b ? -1 : 1));
  await writeText(
    join(output, FILE),
    `${JSON.stringify({ sdconvert: version, artifacts: Object.fromEntries(all) }, null, 2)}\n`,
  );
}

/**
 * Whether an artifact is there already, made from the same source with the same options and as large as it was written.
 * `false`: there is nothing. Throws `OutputExistsError` when something else is there.
 */
export async function isKept(
  output: string,
  path: string,
  wanted: Omit<ArtifactRecord, 'files'>,
): Promise<boolean> {
  const folder = join(output, path);
  if (!(await exists(folder))) return false;
  const { artifacts } = await readProvenance(output);
  const difference = await differenceTo(artifacts[path], wanted, folder);
  if (!difference) return true;
  throw new OutputExistsError({
    problem: `${folder} exists already, and ${difference}.`,
    advice: 'Pass --force to replace it, or another --output.',
  });
}

async function differenceTo(
  record: ArtifactRecord | undefined,
  wanted: Omit<ArtifactRecord, 'files'>,
  folder: string,
): Promise<string | undefined> {
  if (!record) return 'it is not known how it was made';
  for (const key of new Set([...Object.keys(record.options), ...Object.keys(wanted.options)])) {
    const [then, now] = [record.options[key], wanted.options[key]].map(
      (value) => JSON.stringify(value) ?? 'not set',
    );
    if (then !== now) return `it was made with other options (${key} was ${then}, now ${now})`;
  }
  if (JSON.stringify(record.source) !== JSON.stringify(wanted.source))
    return 'it was made from other weights';
  for (const { name, byteLength } of record.files) {
    const path = join(folder, name);
    if (!(await exists(path))) return `its ${name} is missing`;
    const file = await openFile(path);
    await file.close();
    if (file.size !== byteLength) return `its ${name} is not the file that was written`;
  }
  return undefined;
}
