import { join } from 'node:path';
import { removeWritten } from '../../bundle/remove-written.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { DiskSpaceError, OutputBusyError } from '../../errors.ts';
import type { PlannedArtifact } from '../../formats/artifact.ts';
import {
  noteOnRecord,
  readProvenance,
  removeEmptyProvenance,
  updateProvenance,
} from '../../formats/provenance.ts';
import { pipelineSettingsOf } from '../../formats/read-pipeline-settings.ts';
import { exists, freeBytes, lockOutput, removePath } from '../../io/disk.ts';
import type { Stage } from '../../pipeline.ts';
import { formatBytes } from '../../text.ts';
import type { WeightFinding } from '../../weights/examined-weight.ts';
import { ArtifactWriter, found } from './artifact-writer.ts';
import { notesOnFindings, refuseNonFinite } from './examination.ts';
import { findExisting } from './existing-results.ts';
import { withExistingTwins } from './existing-twins.ts';
import { hubRecord } from './hub-record.ts';
import { mostMemory } from './memory.ts';
import { bytesToWrite, describeArtifact, type Planned, type PlannedModel } from './plan.ts';
import type { ConvertRequest, ConvertResult } from './request.ts';

/** Contents of the output folder after writing; nothing is validated or bundled yet. */
export interface Written extends ConvertResult {
  readonly checkpoint: Checkpoint;
}

/**
 * Writes the artifacts, those of a network for all targets in one pass over its weights; each appears only when complete. An
 * existing artifact is reused if it was made from the same weights with the same options, and replaced with `force`. Any other
 * one, and another form of a network (whole or in chunks), is an `OutputExistsError`. Throws `DiskSpaceError` before anything
 * is written when the result would not fit, and `NonFiniteWeightError` for an artifact whose weights are not finite.
 */
export function writeStage(
  request: Pick<ConvertRequest, 'force' | 'verify' | 'allowNonFinite' | 'quantization' | 'bundle'>,
): Stage<Planned, Written> {
  return {
    name: 'write',
    async run(planned, context) {
      const { checkpoint, output, models, sources } = planned;
      // Checked before locking, because locking creates the folder.
      const before = await findExisting(planned, request);
      if (before.obstacle) throw before.obstacle;
      const twins = request.force ? planned.twins : await withExistingTwins(planned, before.kept);
      const artifacts = describe({ models, twins }, before.kept);
      const byteLength = bytesToWrite(artifacts);
      await context.admit?.({ memoryBytes: mostMemory(planned.memory), diskBytes: byteLength });
      await checkFreeSpace(output, byteLength);
      context.closeAtEnd(await lockOutput(output));
      await noteOnRecord(output);
      const { kept, otherForms, foreign, obstacle, ...owner } = await findExisting(planned, request);
      if (obstacle || kept.size !== before.kept.size) throw obstacle ?? changedMeanwhile(output);
      const pending = artifacts.flatMap((artifact) => (artifact.kept ? [] : [artifact.path]));
      const linked = [...twins.values()].map(({ path }) => path).filter((path) => !pending.includes(path));
      const findings = await findingsOnRecord(output, [...[...kept].map(({ path }) => path), ...linked]);
      for (const [path, found] of findings) refuseNonFinite(path, found, request);
      if (kept.size > 0) {
        const paths = [...kept].map(({ path }) => path).join(', ');
        const message = `reused, made earlier with the same options: ${paths}.`;
        context.onProgress?.({ type: 'note', message });
      }
      await removeWritten(output, foreign, context.signal);
      if (pending.length > 0) {
        context.closeAtEnd({ close: () => removeEmptyProvenance(output) });
        // Keep settings that only an earlier run of the same checkpoint knew, such as those of its VAE.
        const known = foreign.length === 0 ? await readProvenance(output) : undefined;
        const pipeline = { ...known?.pipeline, ...(await pipelineSettingsOf(checkpoint)) };
        const hub = hubRecord(checkpoint, known?.hub);
        const unrecorded = await thereAmong(output, known?.pending ?? []);
        const begun = [...new Set([...unrecorded, ...pending])];
        await updateProvenance(output, { ...owner, hub, pipeline, gone: foreign, pending: begun });
      }
      const writer = new ArtifactWriter({
        output,
        byteLength,
        twins,
        sources,
        findings,
        otherForms,
        request,
        context,
      });
      while (models.length > 0) await writer.write(takeNetwork(models), kept);
      // Of networks that were not written: those of the others are gone.
      for (const path of otherForms) await removePath(join(output, path));
      if (otherForms.length > 0) await updateProvenance(output, { gone: otherForms });
      const examined = artifacts.map((artifact) => ({ ...artifact, ...found(findings.get(artifact.path)) }));
      const networks = examined.map(({ model: network, findings = [] }) => ({ network, findings }));
      for (const message of notesOnFindings(networks)) context.onProgress?.({ type: 'note', message });
      return {
        output: { checkpoint, output, artifacts: examined, bundled: [], verdicts: [] },
        detail: `${formatBytes(byteLength)} to ${output}`,
      };
    },
  };
}

/** What is there of what an earlier run had begun: another checkpoint's conversion must remove that, too. */
async function thereAmong(output: string, begun: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of begun) if (await exists(join(output, path))) found.push(path);
  return found;
}

/** Describes the artifacts for the result. */
function describe(
  { models, twins }: Pick<Planned, 'models' | 'twins'>,
  kept: ReadonlySet<PlannedArtifact>,
): ConvertResult['artifacts'] {
  return models.flatMap((model) =>
    model.artifacts.map((artifact) => describeArtifact(model, artifact, kept.has(artifact), twins)),
  );
}

/** Findings on record about the weights of artifacts that are there, reused or linked, by path. */
async function findingsOnRecord(
  output: string,
  paths: readonly string[],
): Promise<Map<string, readonly WeightFinding[]>> {
  const { artifacts = {} } = (paths.length > 0 && (await readProvenance(output))) || {};
  return new Map(
    paths.flatMap((path) => (artifacts[path] ? [[path, artifacts[path].findings ?? []] as const] : [])),
  );
}

/** Removes the next model from the list, together with those of the same network for other targets. */
function takeNetwork(models: PlannedModel[]): PlannedModel[] {
  const taken = models.filter(({ network }) => network === models[0]?.network);
  for (const model of taken) models.splice(models.indexOf(model), 1);
  return taken;
}

function changedMeanwhile(output: string): OutputBusyError {
  return new OutputBusyError({
    problem: `another run has just changed ${output}.`,
    advice: 'Run this again.',
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
