import { dirname, join } from 'node:path';
import { OutputExistsError } from '../../errors.ts';
import type { PlannedArtifact } from '../../formats/artifact.ts';
import { parsePath, wholePath } from '../../formats/artifact-id.ts';
import { isKept } from '../../formats/provenance.ts';
import { exists, listFolder, pathKind } from '../../io/disk.ts';
import type { Planned } from './plan.ts';
import type { SourceHashes } from './source-hashes.ts';

/** What the output folder already has of what is to be written. */
export interface ExistingResults {
  /** Made before, in the same way: not written again. */
  readonly kept: ReadonlySet<PlannedArtifact>;
  /** Other forms of the same networks, by path: to be removed once the new ones are complete. */
  readonly otherForms: readonly string[];
  /** Why nothing can be written without `force`. */
  readonly obstacle?: OutputExistsError;
}

/** Finds what the output folder has of a plan; with `force` none of it counts. Writes nothing. */
export async function findExisting(
  { output, models }: Planned,
  force: boolean,
  sources: SourceHashes,
): Promise<ExistingResults> {
  const paths = models.flatMap(({ artifacts }) => artifacts.map(({ path }) => path));
  const otherForms = await findOtherForms(output, paths);
  const kept = new Set<PlannedArtifact>();
  if (force) return { kept, otherForms };
  try {
    for (const { component, options, artifacts } of models) {
      for (const artifact of artifacts) {
        // The source is hashed only where there is something to compare it with.
        if (!(await exists(join(output, artifact.path)))) continue;
        if (await isKept(output, artifact.path, { source: await sources.of(component), options }))
          kept.add(artifact);
      }
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
async function findOtherForms(output: string, paths: readonly string[]): Promise<string[]> {
  const wanted = new Set(paths);
  const networks = new Set(paths.map(wholePath));
  const found: string[] = [];
  for (const folder of new Set(paths.map((path) => dirname(path)))) {
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
