import { join } from 'node:path';
import type { Context } from '../context.ts';
import { OutputExistsError } from '../errors.ts';
import { exists } from '../io/disk.ts';
import { oncePerFile } from '../io/once-per-file.ts';
import { inWords } from '../text.ts';
import { version } from '../version.ts';
import type { PlannedFile, WrittenFile } from './artifact.ts';
import { damagedFiles, type HashFile, hashUnseen, type Scrutiny } from './damage.ts';
import {
  type ArtifactRecord,
  type PlaceInOutput,
  type Provenance,
  readProvenance,
  recordedAt,
  recordOf,
} from './provenance.ts';

/** What of earlier runs is there still, as it was written. */

/**
 * Whether an existing artifact can be reused: made by this version from the same source with the same options, with the files that it
 * would have now, and unchanged: what was touched since it was put on record is hashed, or `all`. `false` where nothing exists, or the
 * rest of an interrupted run. Throws `OutputExistsError` for anything else.
 */
export async function isKept(
  output: string,
  path: string,
  {
    files = [],
    ...wanted
  }: Pick<ArtifactRecord, 'source' | 'options'> & { readonly files?: readonly PlannedFile[] },
  { all, hash }: { readonly all: boolean; readonly hash: HashFile },
): Promise<boolean> {
  const folder = join(output, path);
  if (!(await exists(folder))) return false;
  const provenance = await readProvenance(output);
  const record = provenance?.artifacts[path];
  if (!record && provenance?.pending?.includes(path)) return false;
  const scrutiny = { hash, since: all ? 0 : await recordedAt(output) };
  const difference =
    differenceTo(record, { version, ...wanted }) ??
    notOnRecord(files, record?.files ?? []) ??
    (await firstDamage(folder, record?.files ?? [], scrutiny));
  if (!difference) return true;
  throw new OutputExistsError({
    problem: `${folder} already exists, and ${difference}.`,
    advice: 'Pass --force to replace it, or another --output.',
  });
}

function differenceTo(
  record: ArtifactRecord | undefined,
  wanted: Omit<ArtifactRecord, 'files' | 'findings'>,
): string | undefined {
  if (!record) return 'it is not known how it was made';
  if (record.version !== wanted.version)
    return `it was made by sdconvert ${record.version}, and this is ${wanted.version}`;
  for (const key of new Set([...Object.keys(record.options), ...Object.keys(wanted.options)])) {
    const [then, now] = [record.options, wanted.options].map((all) =>
      Object.hasOwn(all, key) ? all[key] : undefined,
    );
    if (JSON.stringify(then) !== JSON.stringify(now))
      return `it was made with other options (${key} was ${inWords(then)}, now ${inWords(now)})`;
  }
  for (const [file, sha256] of Object.entries(record.source)) {
    const now = Object.hasOwn(wanted.source, file) ? wanted.source[file] : undefined;
    // The same weights may be in both files; only their bytes are known to differ.
    if (now === undefined) return `it was made from ${file}`;
    if (now !== sha256)
      return `it was made from ${file.endsWith('.json') ? `another ${file}` : 'other weights'}`;
  }
  const added = Object.keys(wanted.source).find((file) => !Object.hasOwn(record.source, file));
  return added && `it was made without ${added}`;
}

/**
 * The same source and options give the same files, and weights of the same size; what describes a model may have the checkpoint's name in
 * it, which may be another for the same weights. Of a file that is not on record, nobody knows whether it is as it was written.
 */
function notOnRecord(files: readonly PlannedFile[], recorded: readonly WrittenFile[]): string | undefined {
  const sizes = new Map(recorded.map(({ name, byteLength }) => [name, byteLength]));
  const isOther = ({ name, byteLength }: PlannedFile): boolean =>
    /(_data|\.bin)$/.test(name) ? sizes.get(name) !== byteLength : !sizes.has(name);
  const other = files.find(isOther);
  return other && `its ${other.name} is not on record as it would be written`;
}

/** Whether all that is on record is there, as it was written; what nobody touched since then is not hashed. */
export async function isIntact(
  output: string,
  { artifacts, pending = [] }: Provenance,
  hash: HashFile,
): Promise<boolean> {
  if (pending.length > 0) return false;
  const scrutiny = { hash: oncePerFile(hash), since: await recordedAt(output) };
  for (const [path, { files }] of Object.entries(artifacts))
    if (await firstDamage(join(output, path), files, scrutiny)) return false;
  return true;
}

async function firstDamage(
  folder: string,
  files: readonly WrittenFile[],
  scrutiny: Scrutiny,
): Promise<string | undefined> {
  for await (const { name, problem } of damagedFiles(folder, files, scrutiny))
    return problem === 'missing' ? `its ${name} is missing` : `its ${name} is not the file that was written`;
  return undefined;
}

/**
 * What is on record of an artifact whose bytes are those on record, for what is made of it; else a note says why nothing is on record of
 * that. A run that was killed may have left a record of what it had not written: sizes are not compared.
 */
export async function intactRecordOf(
  place: PlaceInOutput,
  { onProgress }: Pick<Context, 'onProgress'>,
): Promise<ArtifactRecord | undefined> {
  const record = await recordOf(place);
  const folder = join(place.output, place.path);
  const scrutiny = { hash: hashUnseen, since: await recordedAt(place.output) };
  for await (const { name, problem } of damagedFiles(folder, record?.files ?? [], scrutiny)) {
    if (problem !== 'bytes') continue;
    const message = `${join(folder, name)} is not the file that was written, so what is made of it is not on record.`;
    onProgress?.({ type: 'note', message });
    return undefined;
  }
  return record;
}
