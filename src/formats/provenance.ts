import { join, resolve, sep } from 'node:path';
import { z } from 'zod';
import { FileFormatError, OutputExistsError } from '../errors.ts';
import { isPlainPath } from '../hub/hub-id.ts';
import { exists, lookAtFile, pathKind, removePath } from '../io/disk.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { writeJson } from '../io/json/strict-json.ts';
import { identityOfFile } from '../io/opened-files.ts';
import { inWords } from '../text.ts';
import { version } from '../version.ts';
import type { WeightFinding } from '../weights/examined-weight.ts';
import type { WrittenFile } from './artifact.ts';
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

/** A text that changes with whatever changes a folder's record. */
export function identityOfRecord(output: string): Promise<string | undefined> {
  return identityOfFile(join(output, FILE));
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

/** Schema of `sdconvert.json`. */
export const provenanceSchema = z.object({
  sdconvert: z.string(),
  checkpoint: z.object({ name: z.string(), components: z.record(z.string(), z.string()) }).optional(),
  hub: z.array(z.object({ repo: z.string(), commit: z.string(), files: z.array(z.string()) })).optional(),
  pipeline: pipelineSettings.optional(),
  pending: z.array(place).optional(),
  item: itemSchema.optional(),
  artifacts: z.record(
    place,
    z.object({
      version: z.string().optional(), // absent: that of the file
      source: z.record(z.string(), z.string()),
      options: z.record(z.string(), z.unknown()),
      files: z.array(z.object({ name: place, byteLength: amount, sha256: z.string() })),
      findings: z.array(findingSchema).optional(),
    }),
  ),
});

/** The provenance in an output folder; `undefined` where there is none. Throws `FileFormatError` for a file that is not ours. */
export async function readProvenance(output: string): Promise<Provenance | undefined> {
  const path = join(output, FILE);
  if (!(await exists(path))) return undefined;
  const { data, error } = provenanceSchema.safeParse(await readJsonObject(path));
  if (!data) throw notOurs(path, error);
  const records = Object.entries(data.artifacts).map(([name, record]): [string, ArtifactRecord] => [
    name,
    { ...record, version: record.version ?? data.sdconvert },
  ]);
  return { ...data, artifacts: Object.fromEntries(records) };
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

/** Brings an output folder's provenance up to date. Throws as `readProvenance` and `writeJson` do. */
export async function updateProvenance(
  output: string,
  { gone = [], written = {}, ...change }: ProvenanceChange,
): Promise<void> {
  const found = await readProvenance(output);
  const before = found?.artifacts ?? {};
  const isGone = (path: string) => gone.some((each) => path === each || path.startsWith(`${each}/`));
  const artifacts = new Map<string, ArtifactRecord>();
  for (const [path, record] of Object.entries(before)) {
    const files = record.files.filter(({ name }) => !isGone(`${path}/${name}`));
    if (!isGone(path)) artifacts.set(path, { ...record, files });
  }
  for (const [path, record] of Object.entries(written)) artifacts.set(path, { version, ...record });
  const sorted = [...artifacts].sort(([a], [b]) => (a < b ? -1 : 1));
  const checkpoint = change.checkpoint ?? found?.checkpoint;
  const hub = change.hub ?? found?.hub;
  const pipeline = change.pipeline ?? found?.pipeline;
  const pending = (change.pending ?? found?.pending ?? []).filter((path) => !Object.hasOwn(written, path));
  await writeJson(join(output, FILE), {
    sdconvert: version,
    ...(checkpoint && { checkpoint }),
    ...(hub && hub.length > 0 && { hub }),
    ...(pipeline && { pipeline }),
    ...(pending.length > 0 && { pending: pending.toSorted() }),
    ...(change.item && { item: change.item }),
    artifacts: Object.fromEntries(sorted),
  } satisfies Provenance);
}

/** Removes a record of nothing: of a run that ended before anything was complete. */
export async function removeEmptyProvenance(output: string): Promise<void> {
  const { artifacts } = (await readProvenance(output)) ?? {};
  if (artifacts && Object.keys(artifacts).length === 0) await removePath(join(output, FILE));
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
  await updateProvenance(output, { written: { [folder]: { source: {}, options: {}, files: sorted } } });
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
    if (layout.test(place) && (await pathKind(join(output, FILE))) === 'file') return { output, path: place };
  }
  return undefined;
}

/** Removes a path that is about to be replaced from the record of its output folder, if it is on one. */
export async function forgetProvenance(path: string): Promise<void> {
  const place = await placeInOutput(path);
  const { artifacts = {} } = (place && (await readProvenance(place.output))) ?? {};
  const isOnRecord = Object.entries(artifacts).some(([name, { files }]) =>
    [name, ...files.map((file) => `${name}/${file.name}`)].some(
      (each) => each === place?.path || each.startsWith(`${place?.path}/`),
    ),
  );
  if (place && isOnRecord) await updateProvenance(place.output, { gone: [place.path] });
}

/** What is on record of an artifact; `undefined` where nothing is. */
export async function recordOf({ output, path }: PlaceInOutput): Promise<ArtifactRecord | undefined> {
  return (await readProvenance(output))?.artifacts[path];
}

/** Ways of checking that an artifact is unchanged since it was written. */
export interface Scrutiny {
  /** SHA-256 of a file, in hexadecimal. */
  hash(path: string): Promise<string>;
  /** Whether every file is hashed, or only those that were changed after they were put on record. */
  readonly all: boolean;
}

/**
 * Whether an existing artifact can be reused: made by this version from the same source with the same options, and
 * unchanged. `false` where nothing exists, or the rest of an interrupted run. Throws `OutputExistsError` for anything else.
 */
export async function isKept(
  output: string,
  path: string,
  wanted: Pick<ArtifactRecord, 'source' | 'options'>,
  scrutiny: Scrutiny,
): Promise<boolean> {
  const folder = join(output, path);
  if (!(await exists(folder))) return false;
  const provenance = await readProvenance(output);
  const record = provenance?.artifacts[path];
  if (!record && provenance?.pending?.includes(path)) return false;
  const recorded = (await lookAtFile(join(output, FILE)))?.changed ?? 0;
  const difference =
    (await differenceTo(record, { version, ...wanted })) ??
    (await damageOf(record?.files ?? [], folder, scrutiny, recorded));
  if (!difference) return true;
  throw new OutputExistsError({
    problem: `${folder} already exists, and ${difference}.`,
    advice: 'Pass --force to replace it, or another --output.',
  });
}

async function differenceTo(
  record: ArtifactRecord | undefined,
  wanted: Omit<ArtifactRecord, 'files' | 'findings'>,
): Promise<string | undefined> {
  if (!record) return 'it is not known how it was made';
  if (record.version !== wanted.version)
    return `it was made by sdconvert ${record.version}, and this is ${wanted.version}`;
  for (const key of new Set([...Object.keys(record.options), ...Object.keys(wanted.options)])) {
    const [then, now] = [record.options[key], wanted.options[key]];
    if (JSON.stringify(then) !== JSON.stringify(now))
      return `it was made with other options (${key} was ${inWords(then)}, now ${inWords(now)})`;
  }
  for (const [file, sha256] of Object.entries(record.source)) {
    const now = wanted.source[file];
    // The same weights may be in both files; only their bytes are known to differ.
    if (now === undefined) return `it was made from ${file}`;
    if (now !== sha256)
      return `it was made from ${file.endsWith('.json') ? `another ${file}` : 'other weights'}`;
  }
  const added = Object.keys(wanted.source).find((file) => !Object.hasOwn(record.source, file));
  return added && `it was made without ${added}`;
}

/** Whether all that is on record is there, as it was written; what is older than the record is not hashed. */
export async function isIntact(
  output: string,
  { artifacts, pending = [] }: Provenance,
  hash: Scrutiny['hash'],
): Promise<boolean> {
  const recorded = (await lookAtFile(join(output, FILE)))?.changed ?? 0;
  if (pending.length > 0) return false;
  for (const [path, { files }] of Object.entries(artifacts))
    if (await damageOf(files, join(output, path), { hash, all: false }, recorded)) return false;
  return true;
}

/** Finds damage of an artifact: a file that is missing, of another size, or with other bytes. */
async function damageOf(
  files: readonly WrittenFile[],
  folder: string,
  { hash, all }: Scrutiny,
  recorded: number,
): Promise<string | undefined> {
  for (const { name, byteLength, sha256 } of files) {
    const path = join(folder, name);
    const found = await lookAtFile(path);
    if (!found) return `its ${name} is missing`;
    const isSuspicious = all || found.changed >= recorded; // the clock of a disk is coarse
    if (found.size !== byteLength || (isSuspicious && (await hash(path)) !== sha256))
      return `its ${name} is not the file that was written`;
  }
  return undefined;
}

function notOurs(path: string, { issues: [issue] }: z.ZodError): FileFormatError {
  return new FileFormatError({
    problem: `${path} is not as sdconvert writes it.`,
    details: { [issue?.path.join('.') || 'it']: issue?.message ?? 'is of another kind' },
    advice:
      'Remove it, or choose another output folder; without it, the origin of the files beside it is unknown.',
  });
}
