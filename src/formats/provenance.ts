import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { FileFormatError, OutputExistsError } from '../errors.ts';
import { exists, openFile, pathKind } from '../io/disk.ts';
import { readJsonObject } from '../io/python-json.ts';
import { writeJson } from '../io/strict-json.ts';
import { version } from '../version.ts';
import type { WrittenFile } from './artifact.ts';

/**
 * `sdconvert.json`: what each artifact of an output folder was made from, with which version and options, and what was
 * written. It lets a second run keep what is there, and holds no time, path or machine: the same input gives the same file.
 */
export interface Provenance {
  /** The version that wrote the file last. */
  readonly sdconvert: string;
  /** By path relative to the output folder. */
  readonly artifacts: Readonly<Record<string, ArtifactRecord>>;
}

/** How one artifact was made. */
export interface ArtifactRecord {
  /** The version of sdconvert that made it. */
  readonly version: string;
  /** SHA-256 of each file of the checkpoint it was made from. */
  readonly source: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly files: readonly WrittenFile[];
}

const FILE = 'sdconvert.json';

const schema = z.object({
  sdconvert: z.string(),
  artifacts: z.record(
    z.string(),
    z.object({
      version: z.string().optional(), // absent: that of the file
      source: z.record(z.string(), z.string()),
      options: z.record(z.string(), z.unknown()),
      files: z.array(z.object({ name: z.string(), byteLength: z.number(), sha256: z.string() })),
    }),
  ),
});

/** The provenance in an output folder; `undefined` where there is none. Throws `FileFormatError` for a file that is not ours. */
export async function readProvenance(output: string): Promise<Provenance | undefined> {
  const path = join(output, FILE);
  if (!(await exists(path))) return undefined;
  const { data, error } = schema.safeParse(await readJsonObject(path));
  if (!data) throw notOurs(path, error);
  const records = Object.entries(data.artifacts).map(([name, record]): [string, ArtifactRecord] => [
    name,
    { ...record, version: record.version ?? data.sdconvert },
  ]);
  return { sdconvert: data.sdconvert, artifacts: Object.fromEntries(records) };
}

/** What changes in an output folder; paths are relative to it. */
export interface ProvenanceChange {
  /** Where what is on record was replaced or removed, with all that is below. */
  readonly gone?: readonly string[];
  /** What goes on record, by path. */
  readonly written?: Readonly<Record<string, Omit<ArtifactRecord, 'version'>>>;
}

/** Brings an output folder's provenance up to date. Throws as `readProvenance` and `writeJson` do. */
export async function updateProvenance(
  output: string,
  { gone = [], written = {} }: ProvenanceChange,
): Promise<void> {
  const before = (await readProvenance(output))?.artifacts ?? {};
  const isGone = (path: string) => gone.some((each) => path === each || path.startsWith(`${each}/`));
  const artifacts = new Map<string, ArtifactRecord>();
  for (const [path, record] of Object.entries(before)) {
    const files = record.files.filter(({ name }) => !isGone(`${path}/${name}`));
    if (!isGone(path)) artifacts.set(path, { ...record, files });
  }
  for (const [path, record] of Object.entries(written)) artifacts.set(path, { version, ...record });
  const sorted = [...artifacts].sort(([a], [b]) => (a < b ? -1 : 1));
  const provenance: Provenance = { sdconvert: version, artifacts: Object.fromEntries(sorted) };
  await writeJson(join(output, FILE), provenance);
}

/**
 * Puts on record what completes an output folder for its consumers, in a folder of it; what earlier runs put there stays
 * on record as far as it is still there.
 */
export async function recordBundle(
  output: string,
  folder: string,
  files: readonly WrittenFile[],
): Promise<void> {
  const before = (await readProvenance(output))?.artifacts[folder]?.files ?? [];
  const all = new Map<string, WrittenFile>();
  for (const file of before) if (await exists(join(output, folder, file.name))) all.set(file.name, file);
  for (const file of files) all.set(file.name, file);
  // Sorted, so that the order of the runs does not show.
  const sorted = [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  await updateProvenance(output, { written: { [folder]: { source: {}, options: {}, files: sorted } } });
}

/** Takes what is about to be replaced off the record of the output folder that it is in, if it is in one. */
export async function forgetProvenance(path: string): Promise<void> {
  const names = resolve(path).split(sep);
  // The deepest are those of ControlNets: Resources/controlnet/X.mlmodelc.
  for (let depth = 1; depth <= 3; depth++) {
    const output = names.slice(0, -depth).join(sep) || sep;
    if ((await pathKind(join(output, FILE))) === 'file')
      return updateProvenance(output, { gone: [names.slice(-depth).join('/')] });
  }
}

/**
 * Whether an artifact is there already, made by this version from the same source with the same options, and as large as
 * it was written. `false`: there is nothing. Throws `OutputExistsError` when something else is there.
 */
export async function isKept(
  output: string,
  path: string,
  wanted: Pick<ArtifactRecord, 'source' | 'options'>,
): Promise<boolean> {
  const folder = join(output, path);
  if (!(await exists(folder))) return false;
  const record = (await readProvenance(output))?.artifacts[path];
  const difference = await differenceTo(record, { version, ...wanted }, folder);
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
  if (record.version !== wanted.version)
    return `it was made by sdconvert ${record.version}, and this is ${wanted.version}`;
  for (const key of new Set([...Object.keys(record.options), ...Object.keys(wanted.options)])) {
    const [then, now] = [record.options[key], wanted.options[key]].map(
      (value) => JSON.stringify(value) ?? 'not set',
    );
    if (then !== now) return `it was made with other options (${key} was ${then}, now ${now})`;
  }
  for (const file of new Set([...Object.keys(record.source), ...Object.keys(wanted.source)])) {
    if (record.source[file] !== wanted.source[file])
      return `it was made from ${file.endsWith('.json') ? `another ${file}` : 'other weights'}`;
  }
  for (const { name, byteLength } of record.files) {
    const path = join(folder, name);
    if (!(await exists(path))) return `its ${name} is missing`;
    const file = await openFile(path);
    await file.close();
    if (file.size !== byteLength) return `its ${name} is not the file that was written`;
  }
  return undefined;
}

function notOurs(path: string, { issues: [issue] }: z.ZodError): FileFormatError {
  return new FileFormatError({
    problem: `${path} is not as sdconvert writes it.`,
    details: { [issue?.path.join('.') || 'it']: issue?.message ?? 'is of another kind' },
    advice: 'Remove it, or choose another output folder; what lies beside it then counts as not known.',
  });
}
