import { join } from 'node:path';
import { FileFormatError } from '../errors.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { damagedFiles, damageInWords } from '../formats/damage.ts';
import { formatOfEnding } from '../formats/format.ts';
import { locateArtifact } from '../formats/open.ts';
import { type Provenance, readProvenance, recordedAt } from '../formats/provenance.ts';
import { exists, listFolder, pathKind } from '../io/disk.ts';
import { folderSize, sizeOfFile } from '../io/file-sizes.ts';
import { hashStream } from '../io/hashing/hash-stream.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { oncePerFile } from '../io/once-per-file.ts';
import { identityOfFile } from '../io/opened-files.ts';
import { drawingCommand } from './drawing-command.ts';
import { isControlNet } from './inspect-artifact.ts';
import type { ArtifactInspection, ArtifactsInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/** A converted model in a folder. */
export type FoundArtifact = Omit<ArtifactInspection, 'options' | 'findings'>;

/** `original/compiled/Unet.mlmodelc`, as Apple's repositories have it, is the deepest place to look at. */
const LEVELS = 3;

/** The converted models below a folder, in the order of their paths. A folder that links lead to again is searched once. */
export async function findArtifacts(folder: string): Promise<FoundArtifact[]> {
  const sizeOf = oncePerFile(async (path) =>
    (await pathKind(path)) === 'folder' ? folderSize(path) : sizeOfFile(path),
  );
  return findBelow(folder, { within: '', levels: LEVELS, sizeOf, searched: new Set() });
}

interface Search {
  /** Path of the folder from where the search began, with a slash at its end; empty there. */
  readonly within: string;
  readonly levels: number;
  sizeOf(path: string): Promise<number>;
  /** Identities of the folders that were searched. */
  readonly searched: Set<string | undefined>;
}

async function findBelow(folder: string, search: Search): Promise<FoundArtifact[]> {
  const { within, levels, sizeOf, searched } = search;
  const identity = await identityOfFile(folder);
  if (searched.has(identity)) return [];
  searched.add(identity);
  const names = await listFolder(folder);
  const found: FoundArtifact[] = [];
  for (const [at, name] of names.entries()) {
    const place = join(folder, name);
    const path = within + name;
    const kind = await pathKind(place);
    if (kind === undefined) continue; // a link that leads nowhere
    if (kind === 'file') {
      const format = formatOfEnding(name);
      if (format === undefined) continue;
      // Its data files are called like it, with something behind: in order, they follow it.
      let end = at;
      while (names[end]?.startsWith(name)) end++;
      let byteLength = 0;
      for (const each of names.slice(at, end)) byteLength += await sizeOf(join(folder, each));
      found.push({ path, format, byteLength });
      continue;
    }
    const located = await locateArtifact(place);
    if (located) found.push({ path, format: located.format, byteLength: await sizeOf(place) });
    else if (levels > 1 && !name.startsWith('.'))
      for (const each of await findBelow(place, { ...search, within: `${path}/`, levels: levels - 1 }))
        found.push(each);
  }
  return found;
}

/** Describes a folder of converted models, and checks that the files which its sdconvert.json lists are there as they were written. */
export async function inspectArtifacts(
  path: string,
  found: readonly FoundArtifact[],
): Promise<ArtifactsInspection> {
  const record = await readRecord(path);
  const problems = [...record.problems, ...unfinishedIn(record), ...(await damageIn(path, record.artifacts))];
  return {
    kind: 'artifacts',
    path,
    sdconvert: record.sdconvert,
    scheduler: await schedulerOf(path, record.pipeline),
    compatibleSchedulers: [],
    artifacts: found.map((artifact) => ({
      ...artifact,
      options: record.artifacts[artifact.path]?.options ?? null,
      findings: record.artifacts[artifact.path]?.findings,
    })),
    problems,
    next: await nextStep(path, found, problems),
  };
}

async function readRecord(
  folder: string,
): Promise<
  Pick<Provenance, 'artifacts' | 'pipeline' | 'pending'> & { sdconvert: string | null; problems: string[] }
> {
  try {
    const provenance = await readProvenance(folder);
    return { sdconvert: null, artifacts: {}, ...provenance, problems: [] };
  } catch (error) {
    if (!(error instanceof FileFormatError)) throw error;
    return { sdconvert: null, artifacts: {}, problems: [error.problem] };
  }
}

/** The scheduler's class, by the ONNX folder's config or the record. */
export async function schedulerOf(folder: string, recorded: Provenance['pipeline']): Promise<string | null> {
  for (const place of ['scheduler', join('onnx', 'scheduler')]) {
    const file = join(folder, place, 'scheduler_config.json');
    if (await exists(file)) return className(await readJsonObject(file).catch(() => undefined));
  }
  return className(recorded?.scheduler);
}

function className(config: Readonly<Record<string, unknown>> | undefined): string | null {
  return typeof config?._class_name === 'string' ? config._class_name : null;
}

/** What a run began to write that ended before it was complete, a sentence each. */
export function unfinishedIn({ pending = [] }: Pick<Provenance, 'pending'>): string[] {
  return pending.map((path) => `${path} is unfinished: the run that was to write it has ended.`);
}

/**
 * What of the models on record is not as it was written, a sentence each. Only what was touched since they were put on record is read
 * whole.
 */
export async function damageIn(folder: string, artifacts: Provenance['artifacts']): Promise<string[]> {
  const scrutiny = { hash: oncePerFile((path) => hashStream(path)), since: await recordedAt(folder) };
  const problems: string[] = [];
  for (const [artifact, { files }] of Object.entries(artifacts)) {
    if (!(await exists(join(folder, artifact)))) {
      problems.push(`${artifact} is missing.`);
      continue;
    }
    for await (const file of damagedFiles(join(folder, artifact), files, scrutiny))
      problems.push(`${artifact}/${damageInWords(file)}`);
  }
  return problems;
}

async function nextStep(
  path: string,
  artifacts: readonly FoundArtifact[],
  problems: readonly string[],
): Promise<ArtifactsInspection['next']> {
  if (problems.length > 0) return { advice: 'Convert it again with --force, or copy it again.' };
  const draw = await drawingCommand(
    path,
    artifacts.map((artifact) => artifact.path),
  );
  if (draw) return draw;
  const hasControlNet = artifacts.some((artifact) => isControlNet(parsePath(artifact.path).network));
  if (!hasControlNet && artifacts.some(({ format }) => format !== 'onnx'))
    return nextCommand('validate', path, '--reference', 'CHECKPOINT');
  const [largest] = artifacts.toSorted((a, b) => b.byteLength - a.byteLength);
  if (!largest) return { advice: 'It holds no model: convert again.' };
  return nextCommand('inspect', join(path, largest.path));
}
