import { basename, dirname } from 'node:path';
import { OutputExistsError } from '../../errors.ts';
import { type PlannedArtifact, totalBytes } from '../../formats/artifact.ts';
import { isKept } from '../../formats/kept.ts';
import { readProvenance } from '../../formats/provenance.ts';
import { sharedFiles } from '../../formats/shared-files.ts';
import type { Planned, PlannedModel } from './plan.ts';
import type { SourceHashes } from './source-hashes.ts';
import type { PlannedTwin } from './twins.ts';

/**
 * The twins of a plan, with those among the results of earlier runs: what is converted for another client later shares their
 * weights, too. Only what is whole, and was made of the same weights with the same options, is a twin.
 */
export async function withExistingTwins(
  { output, models, twins, sources }: Pick<Planned, 'output' | 'models' | 'twins' | 'sources'>,
  kept: ReadonlySet<PlannedArtifact>,
): Promise<Planned['twins']> {
  const all = new Map(twins);
  for (const model of models.filter(({ target }) => target === 'onnx'))
    for (const artifact of model.artifacts) {
      if (kept.has(artifact) || all.has(artifact)) continue;
      const twin = await existingTwin(output, model, artifact, sources);
      if (twin) all.set(artifact, twin);
    }
  return all;
}

async function existingTwin(
  output: string,
  { component, options }: PlannedModel,
  { path, files }: PlannedArtifact,
  sources: SourceHashes,
): Promise<PlannedTwin | undefined> {
  const records = Object.entries((await readProvenance(output))?.artifacts ?? {});
  for (const [other, record] of records) {
    if (other === path || basename(other) !== basename(path) || !/^onnx(-|$)/.test(dirname(other))) continue;
    const shared = sharedFiles(files, record.files);
    const sharedBytes = totalBytes(files.filter(({ name }) => Object.hasOwn(shared, name)));
    if (sharedBytes === 0) continue;
    const { client } = record.options;
    const wanted = { source: await sources.of(component), options: { ...options, client } };
    const hash = (file: string) => sources.hash(file);
    try {
      if (await isKept(output, other, wanted, { all: false, hash }))
        return { path: other, files: shared, sharedBytes };
    } catch (error) {
      if (!(error instanceof OutputExistsError)) throw error; // it was made otherwise, or is damaged
    }
  }
  return undefined;
}
