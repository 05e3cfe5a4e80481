import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { FileFormatError } from '../errors.ts';
import { isPlainPath } from '../hub/hub-id.ts';
import { ancestorAmong } from '../io/ancestor-among.ts';
import { exists, lookAtFile, pathKind, readText, removePath, whileLocked, writeText } from '../io/disk.ts';
import { countBytes } from '../io/error-text.ts';
import { LARGEST_OBJECT, parseJsonObject } from '../io/json/python-json.ts';
import { strictJson } from '../io/json/strict-json.ts';
import { identityOfFile } from '../io/opened-files.ts';
import { touchFile } from '../io/shared-file.ts';
import { whatIsWrong } from '../io/wanted.ts';
import { version } from '../version.ts';
import type { WeightFinding } from '../weights/examined-weight.ts';
import type { WrittenFile } from './artifact.ts';
import { holdDamage, noteUntouched, within } from './damage.ts';
import { amount, findingSchema } from './finding-schema.ts';
import { formatNames } from './format.ts';
import { type PipelineSettings, pipelineSettings } from './pipeline-settings.ts';

/**
 * `sdconvert.json`: what each artifact of an output folder was made from, with which version and options, and what was
 * written. A second run reuses results by it. It holds no time, path or machine: the same input gives the same file.
 */
export interface Provenance {
  /** The version that wrote the file last. */
  readonly sdconvert: string;
  /** Checkpoint that all artifacts were made of; absent in files of older versions. */
  readonly checkpoint?: CheckpointIdentity | undefined;
  /** Repositories of the Hub that artifacts were converted from; absent where none was. */
  readonly hub?: readonly HubRecord[] | undefined;
  /** Settings for drawing with the artifacts; absent in files of older versions. */
  readonly pipeline?: PipelineSettings | undefined;
  /** Paths that a run has begun to write: after an interruption, later runs may replace them. */
  readonly pending?: readonly string[] | undefined;
  /** What of a batch the folder is the whole result of; absent once anything else was changed in it. */
  readonly item?: RecordedItem | undefined;
  /** By path relative to the output folder. */
  readonly artifacts: Readonly<Record<string, ArtifactRecord>>;
}

/** A finished item of a batch. */
export type RecordedItem = z.infer<typeof itemSchema>;

/** What was taken of a repository on the Hub. */
export interface HubRecord {
  readonly repo: string;
  readonly commit: string;
  /** Paths in the repository. */
  readonly files: readonly string[];
}

/** Identity of a checkpoint. */
export interface CheckpointIdentity {
  /** Its id on the Hub, or its own name. */
  readonly name: string;
  /** By component: what `fingerprintOf` gives. Only those that were converted are known. */
  readonly components: Readonly<Record<string, string>>;
}

/** Record of how an artifact was made. */
export interface ArtifactRecord {
  /** The version of sdconvert that made it. */
  readonly version: string;
  /** SHA-256 of each file of the checkpoint it was made from. */
  readonly source: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly files: readonly WrittenFile[];
  /** What was found wrong with its weights; absent when nothing was. */
  readonly findings?: readonly WeightFinding[] | undefined;
}

const FILE = 'sdconvert.json';

/** Path of the record of an output folder. */
export function recordIn(output: string): string {
  return join(output, FILE);
}

/** A text that changes with whatever changes a folder's record. */
export function identityOfRecord(output: string): Promise<string | undefined> {
  return identityOfFile(recordIn(output));
}

/** A path that leads nowhere else, and names something: records are files, and may come from anybody. */
const place = z.string().refine(isPlainPath, 'a path inside the folder');

const itemSchema = z.object({
  id: z.string().describe('SHA-256 of the models, their names, the options and the version'),
  quality: z
    .object({
      reference: z.string().describe('float32: the same checkpoint; else the identity of another reference'),
      psnr: z
        .record(place, z.union([z.number(), z.literal(['Infinity', '-Infinity'])]))
        .describe('by path of the model: the lowest PSNR in dB of its outputs'),
    })
    .optional()
    .describe('distance of the models from their reference, where it was measured'),
});

/** More than a conversion has of anything that it lists: commands look into each, and reports show it. */
const MOST = 1000;

const listOf = <T extends z.ZodType>(each: T) => z.array(each).max(MOST);

/** Schema of `sdconvert.json`. */
export const provenanceSchema = z.object({
  sdconvert: z.string(),
  checkpoint: z.object({ name: z.string(), components: z.record(z.string(), z.string()) }).optional(),
  hub: listOf(z.object({ repo: z.string(), commit: z.string(), files: listOf(z.string()) })).optional(),
  pipeline: pipelineSettings.optional(),
  pending: listOf(place).optional(),
  item: itemSchema.optional(),
  artifacts: z
    .record(
      place,
      z.object({
        version: z.string().optional(), // absent: that of the file
        source: z.record(z.string(), z.string()),
        options: z.record(z.string(), z.unknown()),
        files: listOf(z.object({ name: place, byteLength: amount, sha256: z.string() })),
        findings: z.array(findingSchema).optional(),
      }),
    )
    .refine((artifacts) => Object.keys(artifacts).length <= MOST, { error: `at most ${MOST} entries` }),
});

/** The record that was parsed last: a command asks for one dozens of times, and it may be large. */
let last: { readonly path: string; readonly text: string; readonly provenance: Provenance } | undefined;

/** The provenance in an output folder; `undefined` where there is none. Throws `FileFormatError` for a file that is not ours. */
export async function readProvenance(output: string): Promise<Provenance | undefined> {
  const path = recordIn(output);
  if (!(await exists(path))) return undefined;
  const text = await readText(path, LARGEST_OBJECT);
  if (last?.path !== path || last.text !== text) last = { path, text, provenance: parseRecord(text, path) };
  return last.provenance;
}

function parseRecord(text: string, path: string): Provenance {
  const { data, error } = provenanceSchema.safeParse(parseJsonObject(text, path), { reportInput: true });
  if (!data) throw notOurs(path, error);
  const records = Object.entries(data.artifacts).map(([name, record]): [string, ArtifactRecord] => [
    name,
    { ...record, version: record.version ?? data.sdconvert },
  ]);
  return { ...data, artifacts: Object.fromEntries(records) };
}

/**
 * Until when the files on record are known to be as on record (milliseconds since 1970): the date of the record. 0 where there is none.
 */
export async function recordedAt(output: string): Promise<number> {
  return (await lookAtFile(recordIn(output)))?.changed ?? 0;
}

/** Takes note of what is in an output folder as on record, before this process touches it. Throws as `readProvenance`. */
export async function noteOnRecord(output: string): Promise<void> {
  const { artifacts = {} } = (await readProvenance(output)) ?? {};
  await noteUntouched(output, Object.entries(artifacts), await recordedAt(output));
}

/** Does work that writes into a conversion while nobody else does so. Throws as `whileLocked` and `noteOnRecord`, and what the work throws. */
export async function whileConversionLocked<T>(output: string, work: () => Promise<T>): Promise<T> {
  return whileLocked(output, async () => {
    await noteOnRecord(output);
    return work();
  });
}

/** Whether a folder holds a conversion's record, whatever is in it. */
export async function isConversion(folder: string): Promise<boolean> {
  return exists(join(folder, FILE));
}

/** Changes of an output folder's record; paths are relative to the folder. */
export interface ProvenanceChange {
  /** Recorded paths that were replaced or removed, with all below them. */
  readonly gone?: readonly string[];
  /** New records, by path. */
  readonly written?: Readonly<Record<string, Omit<ArtifactRecord, 'version'>>>;
  /** Checkpoint of all artifacts, from now on. */
  readonly checkpoint?: CheckpointIdentity | undefined;
  /** Settings for drawing with the artifacts, from now on. */
  readonly pipeline?: PipelineSettings | undefined;
  /** Paths about to be written; each stays pending until it is recorded. */
  readonly pending?: readonly string[];
  /** Repositories of the Hub that artifacts are converted from, from now on. */
  readonly hub?: readonly HubRecord[] | undefined;
  /** The item that the folder is the result of, from now on; every other change ends that. */
  readonly item?: RecordedItem | undefined;
}

/**
 * Brings an output folder's provenance up to date. What else is on record, and was touched since, is hashed: the record keeps its date
 * where that is not as it was written, or a later run would take it for older than the record. Throws as `readProvenance` and
 * `writeText` do.
 */
export async function updateProvenance(output: string, change: ProvenanceChange): Promise<void> {
  const { written = {} } = change;
  await changeRecord(
    output,
    change,
    Object.entries(written).flatMap(([path, { files }]) => within(path, files)),
  );
}

/** Changes the record as `updateProvenance` does; `fresh` are the files that were just written. */
async function changeRecord(
  output: string,
  { gone = [], written = {}, ...change }: ProvenanceChange,
  fresh: readonly WrittenFile[],
): Promise<void> {
  const found = await readProvenance(output);
  const artifacts = new Map(withoutGone(found?.artifacts ?? {}, gone));
  for (const [path, record] of Object.entries(written)) artifacts.set(path, { version, ...record });
  const sorted = [...artifacts].sort(([a], [b]) => (a < b ? -1 : 1));
  const checkpoint = change.checkpoint ?? found?.checkpoint;
  const hub = change.hub ?? found?.hub;
  const pipeline = change.pipeline ?? found?.pipeline;
  const begun = change.pending ?? notBelow(gone, found?.pending ?? []);
  const begunAbove = ancestorAmong(begun);
  const done = new Set([...Object.keys(written), ...fresh.map(({ name }) => begunAbove(name))]);
  const pending = begun.filter((path) => !done.has(path));
  const since = found && (await recordedAt(output));
  const isDoubtful = since !== undefined && (await holdDamage(output, sorted, fresh, since));
  await writeRecord(recordIn(output), {
    sdconvert: version,
    ...(checkpoint && { checkpoint }),
    ...(hub && hub.length > 0 && { hub }),
    ...(pipeline && { pipeline }),
    ...(pending.length > 0 && { pending: pending.toSorted() }),
    ...(change.item && { item: change.item }),
    artifacts: Object.fromEntries(sorted),
  });
  if (isDoubtful) await touchFile(recordIn(output), new Date(since));
}

/** Throws `FileFormatError` for a record that no later run could read. */
async function writeRecord(path: string, record: Provenance): Promise<void> {
  const text = strictJson(record, path, 2);
  const size = Buffer.byteLength(text);
  if (size > LARGEST_OBJECT)
    throw new FileFormatError({
      problem: `${path} would list more than can be read again: ${countBytes(size)}, and ${countBytes(LARGEST_OBJECT)} is the most.`,
      advice:
        'Choose another output folder, or remove that file: the origin of what is there is unknown then.',
    });
  await writeText(path, text);
}

/** The records without paths that are gone, and all below them. */
function withoutGone(
  artifacts: Readonly<Record<string, ArtifactRecord>>,
  gone: readonly string[],
): [string, ArtifactRecord][] {
  const goneAbove = ancestorAmong(gone);
  return Object.entries(artifacts).flatMap(([path, record]): [string, ArtifactRecord][] => {
    if (goneAbove(path) !== undefined) return [];
    const files = record.files.filter(({ name }) => goneAbove(`${path}/${name}`) === undefined);
    return [[path, { ...record, files }]];
  });
}

/** The paths that are none of others, nor below them. */
function notBelow(others: readonly string[], paths: readonly string[]): readonly string[] {
  const above = ancestorAmong(others);
  return paths.filter((path) => above(path) === undefined);
}

/** Removes a record of nothing: of a run that ended before anything was complete. */
export async function removeEmptyProvenance(output: string): Promise<void> {
  const { artifacts } = (await readProvenance(output)) ?? {};
  if (artifacts && Object.keys(artifacts).length === 0) await removePath(recordIn(output));
}

/**
 * Records the files that complete a folder of the output for its consumers. Files of earlier runs stay on record while they
 * exist.
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
  const written = { [folder]: { source: {}, options: {}, files: sorted } };
  await changeRecord(output, { written }, within(folder, files));
}

/** Where in a conversion's output something lies. */
export interface PlaceInOutput {
  /** The output folder: it holds a `sdconvert.json`. */
  readonly output: string;
  /** Relative to it, as on record: `onnx/unet`. */
  readonly path: string;
}

/** Formats whose artifacts are folders that end in them. */
const foldersWithEnding = formatNames.filter((format) => format !== 'onnx');

/** Where a conversion lays out artifacts below its output folder. What else lies near a record is nobody's that it knows. */
const layout = new RegExp(
  `^(([\\w-]+/)?[^/]+\\.(${foldersWithEnding.join('|')})|(onnx(-[\\w-]+)?|Resources)/[^/]+|[\\w-]+/controlnet/[^/]+)$`,
);

/** The output folder that a path is in, as a conversion lays it out; `undefined` where it is in none. */
export async function placeInOutput(path: string): Promise<PlaceInOutput | undefined> {
  const names = resolve(path).split(sep);
  // The deepest are those of ControlNets: Resources/controlnet/X.mlmodelc.
  for (let depth = 1; depth <= 3; depth++) {
    const output = names.slice(0, -depth).join(sep) || sep;
    const place = names.slice(-depth).join('/');
    if (layout.test(place) && (await pathKind(recordIn(output))) === 'file') return { output, path: place };
  }
  return undefined;
}

/** What is on record of an artifact; `undefined` where nothing is. */
export async function recordOf({ output, path }: PlaceInOutput): Promise<ArtifactRecord | undefined> {
  return (await readProvenance(output))?.artifacts[path];
}

function notOurs(path: string, error: z.ZodError): FileFormatError {
  return new FileFormatError({
    problem: `${path} is not as sdconvert writes it.`,
    details: whatIsWrong(error),
    advice:
      'Remove it, or choose another output folder; without it, the origin of the files beside it is unknown.',
  });
}
