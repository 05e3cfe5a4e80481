import { join } from 'node:path';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { throwIfInterrupted } from '../../context.ts';
import { DiskSpaceError, NonFiniteWeightError, OutputExistsError } from '../../errors.ts';
import { type PlannedArtifact, totalBytes, type WrittenFile } from '../../formats/artifact.ts';
import { readProvenance, removeEmptyProvenance, updateProvenance } from '../../formats/provenance.ts';
import type { BuiltArtifact } from '../../formats/targets.ts';
import { createFolder, freeBytes, lockOutput, removePath } from '../../io/disk.ts';
import type { Stage, StageContext } from '../../pipeline.ts';
import { formatBytes } from '../../text.ts';
import type { WeightFinding } from '../../weights/examined-weight.ts';
import { type Examination, notesOnFindings, refuseNonFinite } from './examination.ts';
import { findExisting } from './existing-results.ts';
import { pipelineSettingsOf } from './pipeline-settings.ts';
import { describeArtifact, type Planned, type PlannedModel } from './plan.ts';
import type { ConvertedArtifact, ConvertRequest, ConvertResult } from './request.ts';
import { SourceHashes } from './source-hashes.ts';

/** Contents of the output folder after writing; nothing is validated or bundled yet. */
export interface Written extends ConvertResult {
  readonly checkpoint: Checkpoint;
}

/** Options that affect writing. */
type WriteRequest = Pick<ConvertRequest, 'force' | 'verify' | 'allowNonFinite' | 'quantization'>;

/**
 * Writes the artifacts, one model in memory at a time; each appears only when complete. An existing artifact is reused if it
 * was made from the same weights with the same options, and replaced with `force`. Any other one, and another form of a
 * network (whole or in chunks), is an `OutputExistsError`. Throws `DiskSpaceError` before anything is written when the
 * result would not fit, and `NonFiniteWeightError` for an artifact whose weights are not finite.
 */
export function writeStage(request: WriteRequest): Stage<Planned, Written> {
  return {
    name: 'write',
    async run(planned, context) {
      const { checkpoint, output, models } = planned;
      const sources = new SourceHashes(checkpoint.path, context.signal);
      context.closeAtEnd(sources);
      // Checked before locking, because locking creates the folder.
      const before = await findExisting(planned, request, sources);
      if (before.obstacle) throw before.obstacle;
      const artifacts = describe(models, before.kept);
      const byteLength = artifacts
        .filter((artifact) => !artifact.kept)
        .reduce((sum, { files }) => sum + totalBytes(files), 0);
      await checkFreeSpace(output, byteLength);
      context.closeAtEnd(await lockOutput(output));
      const { kept, otherForms, foreign, obstacle, ...owner } = await findExisting(planned, request, sources);
      if (obstacle || kept.size !== before.kept.size) throw obstacle ?? changedMeanwhile(output);
      const findings = await findingsOnRecord(output, kept);
      for (const [path, found] of findings) refuseNonFinite(path, found, request);
      for (const { path } of kept) {
        const message = `reused ${path}: it was made earlier with the same options.`;
        context.onProgress?.({ type: 'note', message });
      }
      for (const path of foreign) await removePath(join(output, path));
      const pending = artifacts.flatMap((artifact) => (artifact.kept ? [] : [artifact.path]));
      if (pending.length > 0) {
        context.closeAtEnd({ close: () => removeEmptyProvenance(output) });
        // Keep settings that only an earlier run of the same checkpoint knew, such as those of its VAE.
        const known = foreign.length === 0 ? (await readProvenance(output))?.pipeline : undefined;
        const pipeline = { ...known, ...(await pipelineSettingsOf(checkpoint)) };
        await updateProvenance(output, { ...owner, pipeline, gone: foreign, pending });
      }
      const writer = new Writer({ output, byteLength, sources, findings, request, context });
      for (let model = models.shift(); model; model = models.shift()) await writer.write(model, kept);
      // Last, so that an interruption does not leave a chain without its end.
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

/** Describes the artifacts for the result. */
function describe(
  models: readonly PlannedModel[],
  kept: ReadonlySet<PlannedArtifact>,
): ConvertResult['artifacts'] {
  return models.flatMap((model) =>
    model.artifacts.map((artifact) => describeArtifact(model, artifact, kept.has(artifact))),
  );
}

/** Findings on record about the weights of reused artifacts, by path. */
async function findingsOnRecord(
  output: string,
  kept: ReadonlySet<PlannedArtifact>,
): Promise<Map<string, readonly WeightFinding[]>> {
  const { artifacts = {} } = (kept.size > 0 && (await readProvenance(output))) || {};
  return new Map([...kept].map(({ path }) => [path, artifacts[path]?.findings ?? []]));
}

/** Leaves the field out if nothing was found. */
function found(findings: readonly WeightFinding[] = []): Pick<ConvertedArtifact, 'findings'> {
  return findings.length > 0 ? { findings } : {};
}

function changedMeanwhile(output: string): OutputExistsError {
  return new OutputExistsError({
    problem: `another run has just changed ${output}.`,
    advice: 'Run this again.',
  });
}

/** State of the whole conversion that writing needs. */
interface Place {
  readonly output: string;
  /** Total size of everything that is written. */
  readonly byteLength: number;
  readonly sources: SourceHashes;
  /** Findings by artifact; writing adds to them. */
  readonly findings: Map<string, readonly WeightFinding[]>;
  readonly request: WriteRequest;
  readonly context: StageContext;
}

/** Writes models one after another and reports progress. */
class Writer {
  readonly #place: Place;
  #done = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Writes the artifacts of a model that are not reused. */
  async write(model: PlannedModel, kept: ReadonlySet<PlannedArtifact>): Promise<void> {
    if (model.artifacts.every((artifact) => kept.has(artifact))) return;
    const built = model.build();
    for (const [index, artifact] of model.artifacts.entries()) {
      const made = built[index];
      if (made?.path !== artifact.path) throw new Error(`${artifact.path} was planned but not built`);
      if (!kept.has(artifact)) await this.#writeArtifact(model, made);
    }
  }

  async #writeArtifact(
    { component, options, examination }: PlannedModel,
    artifact: BuiltArtifact,
  ): Promise<void> {
    const { output, sources, findings } = this.#place;
    const { path } = artifact;
    const hashed = sources.of(component); // in its own thread, while writing
    // If writing fails first, nobody awaits it, and its failure must not count as unhandled.
    hashed.catch(() => {});
    let files: readonly WrittenFile[] = [];
    await createFolder(join(output, path), async (folder) => {
      files = await this.#writeExamined(artifact, examination, folder);
      await hashed;
    });
    const record = { source: await hashed, options, files, ...found(findings.get(path)) };
    await updateProvenance(output, { gone: [path], written: { [path]: record } });
  }

  /** Writes the files and checks the weights meanwhile; throws `NonFiniteWeightError` unless such weights are allowed. */
  async #writeExamined(
    { path, write }: BuiltArtifact,
    examination: Examination,
    folder: string,
  ): Promise<readonly WrittenFile[]> {
    const { findings, request } = this.#place;
    const check = (): void => {
      const found = examination.take();
      findings.set(path, found);
      refuseNonFinite(path, found, request, examination.files);
    };
    try {
      const files = await write(folder, (bytes) => this.#progress(path, bytes));
      check();
      return files;
    } catch (error) {
      // Palettizing fails on such weights; the findings make a better error.
      if (error instanceof NonFiniteWeightError) check();
      throw error;
    }
  }

  #progress(what: string, bytes: number): void {
    const { byteLength: total, context } = this.#place;
    throwIfInterrupted(context.signal);
    this.#done += bytes;
    const progress = { stage: 'write', what, done: this.#done, total, unit: 'bytes' } as const;
    context.onProgress?.({ type: 'progress', ...progress });
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
