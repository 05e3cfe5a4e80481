import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import type { Checkpoint, Component } from '../checkpoint/checkpoint.ts';
import { type Context, throwIfInterrupted } from '../context.ts';
import { DiskSpaceError, OutputExistsError } from '../errors.ts';
import { createFolder, exists, freeBytes, listFolder, pathKind, removePath } from '../io/disk.ts';
import { hashFile } from '../io/hash-file.ts';
import { formatBytes } from '../text.ts';
import type { PlannedArtifact } from './artifact.ts';
import { parsePath, wholePath } from './artifact-id.ts';
import { type ArtifactRecord, isKept, updateProvenance } from './provenance.ts';

/** An artifact to be written, what it is made of and how. */
export interface ArtifactToEmit {
  /** What it is made of. The model's graph is not kept: only what is left to write takes memory. */
  readonly component: Component;
  readonly artifact: PlannedArtifact;
  /** The options that decide its bytes. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** What the output folder already has of what is to be written. */
export interface EmitPlan {
  /** Made before, in the same way: not written again. */
  readonly kept: ReadonlySet<PlannedArtifact>;
  /** Other forms of the same networks, by path: to be removed once the new ones are complete. */
  readonly otherForms: readonly string[];
  /** Why nothing can be written without `force`. */
  readonly obstacle?: OutputExistsError;
}

/** Says what `emitArtifacts` would do with what is there; writes nothing. */
export async function planEmission(
  checkpoint: Checkpoint,
  artifacts: readonly ArtifactToEmit[],
  { output, force }: { output: string; force: boolean },
  context: Context,
): Promise<EmitPlan> {
  const sources = new SourceHashes(checkpoint, context.signal);
  try {
    return await plan(artifacts, output, force, sources);
  } finally {
    await sources.settle();
  }
}

/**
 * Writes artifacts below `output`, each in one go: it is there complete or not at all. One that is there already is kept
 * when it was made from the same weights with the same options, replaced with `force`, and an `OutputExistsError`
 * otherwise; so is another form of a network (whole beside chunks). Throws `DiskSpaceError` before anything is written
 * when it would not fit.
 */
export async function emitArtifacts(
  checkpoint: Checkpoint,
  artifacts: readonly ArtifactToEmit[],
  { output, force }: { output: string; force: boolean },
  context: Context,
): Promise<{ readonly kept: ReadonlySet<PlannedArtifact>; readonly byteLength: number }> {
  const sources = new SourceHashes(checkpoint, context.signal);
  try {
    const { kept, otherForms, obstacle } = await plan(artifacts, output, force, sources);
    if (obstacle) throw obstacle;
    for (const { path } of kept)
      context.onProgress?.({
        type: 'note',
        message: `kept ${path}: it was made before with the same options.`,
      });
    const anew = artifacts.filter(({ artifact }) => !kept.has(artifact));
    const byteLength = anew.reduce((sum, { artifact }) => sum + artifactBytes(artifact), 0);
    await checkFreeSpace(output, byteLength);

    let done = 0;
    for (const { component, artifact, options } of anew) {
      const hashed = sources.of(component); // in a thread of its own, beside the writing
      // When writing fails first nobody awaits it, and its failure must not count as unhandled.
      hashed.catch(() => {});
      let record: Omit<ArtifactRecord, 'version'> | undefined;
      await createFolder(join(output, artifact.path), async (folder) => {
        const files = await artifact.write(folder, (bytes) => {
          throwIfInterrupted(context.signal);
          done += bytes;
          context.onProgress?.({
            type: 'progress',
            stage: 'emit',
            what: artifact.path,
            done,
            total: byteLength,
            unit: 'bytes',
          });
        });
        record = { source: await hashed, options, files };
      });
      if (record)
        await updateProvenance(output, { gone: [artifact.path], written: { [artifact.path]: record } });
    }
    // Last: an interruption must not leave a chain without its end.
    for (const path of otherForms) await removePath(join(output, path));
    if (otherForms.length > 0) await updateProvenance(output, { gone: otherForms });
    return { kept, byteLength };
  } finally {
    await sources.settle();
  }
}

/** Bytes of all files of an artifact. */
export function artifactBytes({ files }: PlannedArtifact): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

async function plan(
  artifacts: readonly ArtifactToEmit[],
  output: string,
  force: boolean,
  sources: SourceHashes,
): Promise<EmitPlan> {
  const otherForms = await findOtherForms(output, artifacts);
  const kept = new Set<PlannedArtifact>();
  if (force) return { kept, otherForms };
  try {
    for (const { component, artifact, options } of artifacts) {
      // The source is hashed only where there is something to compare it with.
      if (!(await exists(join(output, artifact.path)))) continue;
      if (await isKept(output, artifact.path, { source: await sources.of(component), options }))
        kept.add(artifact);
    }
    const [first] = otherForms;
    if (first !== undefined) throw inAnotherForm(output, first);
  } catch (error) {
    if (!(error instanceof OutputExistsError)) throw error;
    return { kept, otherForms, obstacle: error };
  }
  return { kept, otherForms };
}

/**
 * Other forms of the artifacts' networks that are in the output: the whole beside chunks, chunks beside the whole, chunks
 * of an earlier cut. What loads the folder would mix them up.
 */
async function findOtherForms(output: string, artifacts: readonly ArtifactToEmit[]): Promise<string[]> {
  const wanted = new Set(artifacts.map(({ artifact }) => artifact.path));
  const networks = new Set([...wanted].map(wholePath));
  const found: string[] = [];
  for (const folder of new Set([...wanted].map((path) => dirname(path)))) {
    if ((await pathKind(join(output, folder))) !== 'folder') continue;
    for (const name of await listFolder(join(output, folder))) {
      const path = folder === '.' ? name : `${folder}/${name}`;
      if (networks.has(wholePath(path)) && !wanted.has(path)) found.push(path);
    }
  }
  return found;
}

function inAnotherForm(output: string, path: string): OutputExistsError {
  return new OutputExistsError({
    problem: `${join(output, path)} exists already, ${parsePath(path).chunk ? 'in chunks that this conversion does not make' : 'whole, and this conversion cuts it into chunks'}.`,
    advice: 'Pass --force to replace it, or another --output.',
  });
}

async function checkFreeSpace(output: string, needed: number): Promise<void> {
  const free = await freeBytes(output);
  if (needed <= free) return;
  throw new DiskSpaceError({
    problem: `the disk has no room for the result: ${formatBytes(needed)} are needed, ${formatBytes(free)} are free.`,
    details: { output },
    advice:
      'Free some space, name an --output on another disk, or convert fewer models at a time (--convert-unet). Nothing was written.',
  });
}

/** SHA-256 of the checkpoint's files, each computed once, when first asked for. */
class SourceHashes {
  readonly #checkpoint: Checkpoint;
  readonly #signal: AbortSignal | undefined;
  readonly #hashes = new Map<string, Promise<string>>();

  constructor(checkpoint: Checkpoint, signal: AbortSignal | undefined) {
    this.#checkpoint = checkpoint;
    this.#signal = signal;
  }

  /** Of a component's files, by path relative to the checkpoint; those from elsewhere by name, as paths say something of a machine. */
  async of({ files, configFile, adapted }: Component): Promise<Record<string, string>> {
    // What was fitted to the weights follows from them.
    const sources = adapted ? files : [...files, configFile];
    const hashes = sources.map(async (file): Promise<[string, string]> => {
      const hash = this.#hashes.get(file) ?? hashFile(file, this.#signal);
      this.#hashes.set(file, hash);
      const path = relative(this.#checkpoint.path, file);
      const isInside = path !== '' && !path.startsWith('..') && !isAbsolute(path);
      return [isInside ? path : basename(file), await hash];
    });
    return Object.fromEntries(await Promise.all(hashes));
  }

  /** Waits for the threads to end, whether anybody still wants their results or not. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#hashes.values());
  }
}
