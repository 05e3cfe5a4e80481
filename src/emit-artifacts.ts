import { join, relative } from 'node:path';
import { type Context, throwIfInterrupted } from './context.ts';
import type { PlannedArtifact } from './emit/artifact.ts';
import { DiskSpaceError } from './errors.ts';
import { formatBytes } from './format.ts';
import { type ArtifactRecord, addProvenance, isKept } from './provenance.ts';
import type { Checkpoint, Component } from './weights/checkpoint.ts';
import { createFolder, exists, freeBytes, removePath } from './weights/disk.ts';
import { hashFile } from './weights/hash-file.ts';

/** An artifact to be written, what it is made of and how. */
export interface ArtifactToEmit {
  /** What it is made of. The model's graph is not kept: only what is left to write takes memory. */
  readonly component: Component;
  readonly artifact: PlannedArtifact;
  /** The options that decide its bytes. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Writes artifacts below `output`, each in one go: it is there complete or not at all. One that is there already is kept
 * when it was made from the same weights with the same options, replaced with `force`, and an `OutputExistsError`
 * otherwise. Throws `DiskSpaceError` before anything is written when it would not fit.
 */
export async function emitArtifacts(
  checkpoint: Checkpoint,
  artifacts: readonly ArtifactToEmit[],
  { output, force }: { output: string; force: boolean },
  context: Context,
): Promise<{ readonly kept: ReadonlySet<PlannedArtifact>; readonly byteLength: number }> {
  const sources = new SourceHashes(checkpoint, context.signal);
  try {
    const kept = force ? new Set<PlannedArtifact>() : await findKept(artifacts, output, sources);
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
      let record: ArtifactRecord | undefined;
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
          });
        });
        record = { source: await hashed, options, files };
      });
      if (record) await addProvenance(output, { [artifact.path]: record });
    }
    // Last: an interruption must not leave a chain without its end.
    if (force) await removeOtherChunks(output, artifacts);
    return { kept, byteLength };
  } finally {
    await sources.settle();
  }
}

/** Bytes of all files of an artifact. */
export function artifactBytes({ files }: PlannedArtifact): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

async function findKept(
  artifacts: readonly ArtifactToEmit[],
  output: string,
  sources: SourceHashes,
): Promise<ReadonlySet<PlannedArtifact>> {
  const kept = new Set<PlannedArtifact>();
  for (const { component, artifact, options } of artifacts) {
    // The source is hashed only where there is something to compare it with.
    if (!(await exists(join(output, artifact.path)))) continue;
    if (await isKept(output, artifact.path, { source: await sources.of(component), options }))
      kept.add(artifact);
  }
  return kept;
}

/** Removes chunks that an earlier run cut and this one does not: a chain must not end in a stranger. */
async function removeOtherChunks(output: string, artifacts: readonly ArtifactToEmit[]): Promise<void> {
  const wanted = new Set(artifacts.map(({ artifact }) => artifact.path));
  for (const { artifact } of artifacts) {
    const base = /^(.*_chunk)\d+(\..*)?$/.exec(artifact.path);
    if (!base) continue;
    const [, stem = '', ending = ''] = base;
    for (let number = 1; await exists(join(output, `${stem}${number}${ending}`)); number++) {
      const path = `${stem}${number}${ending}`;
      if (!wanted.has(path)) await removePath(join(output, path));
    }
  }
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

  /** Of a component's files, by path relative to the checkpoint. */
  async of({ files, configFile }: Component): Promise<Record<string, string>> {
    const hashes = [...files, configFile].map(async (file): Promise<[string, string]> => {
      const hash = this.#hashes.get(file) ?? hashFile(file, this.#signal);
      this.#hashes.set(file, hash);
      return [relative(this.#checkpoint.path, file), await hash];
    });
    return Object.fromEntries(await Promise.all(hashes));
  }

  /** Waits for the threads to end, whether anybody still wants their results or not. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#hashes.values());
  }
}
