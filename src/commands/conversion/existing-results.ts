import { dirname, join } from 'node:path';
import { OutputExistsError } from '../../errors.ts';
import type { PlannedArtifact } from '../../formats/artifact.ts';
import { parsePath, wholePath } from '../../formats/artifact-id.ts';
import { isKept } from '../../formats/kept.ts';
import { type CheckpointIdentity, readProvenance } from '../../formats/provenance.ts';
import { exists, listFolder, pathKind } from '../../io/disk.ts';
import { ownerOf, refuseCheckpoint } from './output.ts';
import type { Planned } from './plan.ts';
import type { ConvertRequest } from './request.ts';

/** Existing results in the output folder, compared with the plan. */
export interface ExistingResults {
  /** Made earlier from the same weights with the same options: reused. */
  readonly kept: ReadonlySet<PlannedArtifact>;
  /** Other forms of the same networks (chunks or whole), by path, there or only on record: removed as the new ones appear. */
  readonly otherForms: readonly string[];
  /** Results of another checkpoint, by path: removed before anything is written. */
  readonly foreign: readonly string[];
  /** Identity of the checkpoint that the output is of from now on. */
  readonly checkpoint: CheckpointIdentity;
  /** Reason why nothing can be written without `force`. */
  readonly obstacle?: OutputExistsError;
}

/**
 * Compares the output folder with a plan, without writing anything; with `force`, nothing is reused. Throws `RequestError`
 * for a folder that must not be written into.
 */
export async function findExisting(
  { checkpoint, output, models, sources }: Planned,
  { force, verify }: Pick<ConvertRequest, 'force' | 'verify'>,
): Promise<ExistingResults> {
  const paths = models.flatMap(({ artifacts }) => artifacts.map(({ path }) => path));
  const folders = paths.map((path) => path.split('/', 1)[0] ?? path);
  await refuseCheckpoint(output, checkpoint, [...new Set(folders)]);
  const otherForms = await findOtherForms(output, paths);
  const kept = new Set<PlannedArtifact>();
  const components = models.map(({ component }) => component);
  const owner = await ownerOf(output, checkpoint.name, components);
  const existing = { kept, otherForms, checkpoint: owner.checkpoint, foreign: owner.foreign };
  if (force) return existing;
  const scrutiny = { all: verify, hash: (path: string) => sources.hash(path) };
  try {
    if (owner.obstacle) throw owner.obstacle;
    for (const { component, options, artifacts } of models) {
      for (const artifact of artifacts) {
        // Hash the source only if there is a result to compare it with.
        if (!(await exists(join(output, artifact.path)))) continue;
        const wanted = {
          source: await sources.of(component),
          options,
          files: artifact.files,
        };
        if (await isKept(output, artifact.path, wanted, scrutiny)) kept.add(artifact);
      }
    }
    for (const path of otherForms) if (await exists(join(output, path))) throw inAnotherForm(output, path);
  } catch (error) {
    if (!(error instanceof OutputExistsError)) throw error;
    return { ...existing, obstacle: error };
  }
  return existing;
}

/**
 * Finds other forms of the artifacts' networks in the output: a whole model next to chunks, chunks next to a whole model, or
 * chunks of an earlier cut. Whoever loads the folder would mix them up.
 */
async function findOtherForms(output: string, paths: readonly string[]): Promise<string[]> {
  const wanted = new Set(paths);
  const networks = new Set(paths.map(wholePath));
  const recorded = Object.keys((await readProvenance(output))?.artifacts ?? {});
  const isOther = (path: string): boolean => networks.has(wholePath(path)) && !wanted.has(path);
  const found = new Set(recorded.filter(isOther));
  for (const folder of new Set(paths.map((path) => dirname(path)))) {
    if ((await pathKind(join(output, folder))) !== 'folder') continue;
    for (const name of await listFolder(join(output, folder))) {
      const path = folder === '.' ? name : `${folder}/${name}`;
      if (isOther(path)) found.add(path);
    }
  }
  return [...found].sort();
}

function inAnotherForm(output: string, path: string): OutputExistsError {
  return new OutputExistsError({
    problem: `${join(output, path)} already exists, ${parsePath(path).chunk ? 'in chunks that this conversion does not make' : 'whole, and this conversion cuts it into chunks'}.`,
    advice: 'Pass --force to replace it, or another --output.',
  });
}
