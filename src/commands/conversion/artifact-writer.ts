import { join } from 'node:path';
import { throwIfInterrupted } from '../../context.ts';
import { NonFiniteWeightError } from '../../errors.ts';
import type { FileContents, PlannedArtifact, WrittenFile } from '../../formats/artifact.ts';
import { wholePath } from '../../formats/artifact-id.ts';
import { noteWritten, within } from '../../formats/damage.ts';
import { recordOf, updateProvenance } from '../../formats/provenance.ts';
import { targets } from '../../formats/targets.ts';
import { writeTogether } from '../../formats/write-files.ts';
import { createFolders } from '../../io/create-folders.ts';
import { linkFile } from '../../io/disk.ts';
import type { StageContext } from '../../pipeline.ts';
import type { WeightFinding } from '../../weights/examined-weight.ts';
import { refuseNonFinite } from './examination.ts';
import type { Planned, PlannedModel } from './plan.ts';
import type { ConvertedArtifact, ConvertRequest } from './request.ts';
import type { SourceHashes } from './source-hashes.ts';
import type { PlannedTwin } from './twins.ts';

/** State of the whole conversion that writing needs. */
interface Place {
  readonly output: string;
  /** Total size of everything that is written. */
  readonly byteLength: number;
  readonly twins: Planned['twins'];
  readonly sources: SourceHashes;
  /** Findings by artifact; writing adds to them. */
  readonly findings: Map<string, readonly WeightFinding[]>;
  /** Other forms of the networks, by path: they go as the new ones appear. */
  readonly otherForms: readonly string[];
  readonly request: Pick<ConvertRequest, 'allowNonFinite' | 'quantization' | 'bundle'>;
  readonly context: StageContext;
}

/** The contents of an artifact's files. The model itself has been dropped: its weights remain as streams. */
interface ReadyArtifact {
  readonly path: string;
  readonly model: PlannedModel;
  /** Without those of its twin. */
  readonly contents: readonly FileContents[];
  readonly twin: PlannedTwin | undefined;
}

/** Writes networks one after another and reports progress. */
export class ArtifactWriter {
  readonly #place: Place;
  #done = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Writes the artifacts of one network that are not reused: the first of every target together, then the second, and so on. */
  async write(models: readonly PlannedModel[], kept: ReadonlySet<PlannedArtifact>): Promise<void> {
    const ready: (readonly (ReadyArtifact | undefined)[])[] = [];
    for (const model of models) ready.push(await this.#prepare(model, kept));
    const longest = Math.max(...ready.map(({ length }) => length));
    await this.#writeRows(
      Array.from({ length: longest }, (_, at) => ready.flatMap((chain) => chain[at] ?? [])).filter(
        ({ length }) => length > 0,
      ),
    );
  }

  /** Builds a model and returns the contents of its files; `undefined` for an artifact that is reused. */
  async #prepare(
    model: PlannedModel,
    kept: ReadonlySet<PlannedArtifact>,
  ): Promise<(ReadyArtifact | undefined)[]> {
    if (model.artifacts.every((artifact) => kept.has(artifact))) return [];
    const built = model.build();
    const ready: (ReadyArtifact | undefined)[] = [];
    for (const [index, artifact] of model.artifacts.entries()) {
      const made = built[index];
      if (made?.path !== artifact.path) throw new Error(`${artifact.path} was planned but not built`);
      if (kept.has(artifact)) {
        ready.push(undefined);
        continue;
      }
      const twin = this.#place.twins.get(artifact);
      const contents = (await made.contents()).filter(({ name }) => !Object.hasOwn(twin?.files ?? {}, name));
      ready.push({ path: made.path, model, contents, twin });
      this.#findings(model, [made.path]);
    }
    return ready;
  }

  /** Writes the artifacts of one network, which appear together, in the place of its other forms, and then records them. */
  async #writeRows(rows: readonly (readonly ReadyArtifact[])[]): Promise<void> {
    const { output, sources, findings } = this.#place;
    const artifacts = rows.flat();
    // In their own thread, while writing. If writing fails first, nobody awaits them, and their failure must not count as unhandled.
    const hashes = artifacts.map(({ model }) => sources.of(model.component));
    for (const each of hashes) each.catch(() => {});
    const written = new Map<string, readonly WrittenFile[]>();
    const networks = new Set(artifacts.map(({ path }) => wholePath(path)));
    const otherForms = this.#place.otherForms.filter((path) => networks.has(wholePath(path)));
    const inOutput = (paths: readonly string[]): string[] => paths.map((path) => join(output, path));
    const fill = async (growing: readonly string[]): Promise<void> => {
      const left = [...growing];
      for (const row of rows) {
        const folders = left.splice(0, row.length);
        const files = await this.#writeExamined(row, folders);
        for (const [index, { path, model }] of row.entries()) {
          written.set(path, files[index] ?? []);
          if (this.#place.request.bundle)
            await targets[model.target].complete(model.component, folders[index] ?? '');
        }
      }
      await Promise.all(hashes);
      await sources.checkUnchanged();
    };
    await createFolders(inOutput(artifacts.map(({ path }) => path)), fill, inOutput(otherForms));
    const records = artifacts.map(async ({ path, model: { options } }, index) => {
      const record = { source: (await hashes[index]) ?? {}, options, files: written.get(path) ?? [] };
      return [path, { ...record, ...found(findings.get(path)) }] as const;
    });
    await updateProvenance(output, {
      gone: [...written.keys(), ...otherForms],
      written: Object.fromEntries(await Promise.all(records)),
    });
    for (const [path, files] of written) await noteWritten(output, within(path, files));
  }

  /** Writes the files and checks the weights meanwhile; throws `NonFiniteWeightError` unless such weights are allowed. */
  async #writeExamined(
    artifacts: readonly ReadyArtifact[],
    folders: readonly string[],
  ): Promise<readonly (readonly WrittenFile[])[]> {
    const check = (): void => {
      const { findings, request } = this.#place;
      for (const { path, model } of artifacts)
        refuseNonFinite(path, findings.get(path) ?? [], request, model.examination.files);
    };
    const works = artifacts.map(({ path, model, contents }, index) => ({
      folder: folders[index] ?? '',
      files: contents,
      path,
      model,
      onBytes: (bytes: number) => this.#progress(path, bytes),
    }));
    try {
      const written = await writeTogether(works, (takers) => {
        const [first] = takers;
        if (first)
          this.#findings(
            first.model,
            takers.map(({ path }) => path),
          ); // all belong to one network
      });
      const complete = await this.#linkTwins(artifacts, folders, written);
      check();
      return complete;
    } catch (error) {
      // Palettizing fails on such weights; the findings make a better error.
      if (error instanceof NonFiniteWeightError) {
        for (const { path, model } of artifacts) this.#findings(model, [path]);
        check();
      }
      throw error;
    }
  }

  /** Links the files that artifacts share with their twins, which are in `folders` still, or were written before. */
  async #linkTwins(
    artifacts: readonly ReadyArtifact[],
    folders: readonly string[],
    written: readonly (readonly WrittenFile[])[],
  ): Promise<readonly (readonly WrittenFile[])[]> {
    const { output, findings } = this.#place;
    const complete: (readonly WrittenFile[])[] = [];
    for (const [index, { path, twin }] of artifacts.entries()) {
      const own = [...(written[index] ?? [])];
      if (twin) {
        const at = artifacts.findIndex((each) => each.path === twin.path);
        const record = at < 0 ? await recordOf({ output, path: twin.path }) : undefined;
        const folder = folders[at] ?? join(output, twin.path);
        for (const [name, twinName] of Object.entries(twin.files)) {
          const known = (written[at] ?? record?.files)?.find((file) => file.name === twinName);
          if (!known) throw new Error(`${twin.path} has no ${twinName} on record`);
          await linkFile(join(folder, twinName), join(folders[index] ?? '', name));
          own.push({ ...known, name });
        }
        findings.set(path, findings.get(twin.path) ?? []);
      }
      complete.push(own);
    }
    return complete;
  }

  /** Adds the findings since the last call to the artifacts into which those weights were written. */
  #findings({ examination }: PlannedModel, paths: readonly string[]): void {
    const { findings } = this.#place;
    const more = examination.take();
    for (const path of more.length > 0 ? paths : [])
      findings.set(path, [...(findings.get(path) ?? []), ...more]);
  }

  #progress(what: string, bytes: number): void {
    const { byteLength: total, context } = this.#place;
    throwIfInterrupted(context.signal);
    this.#done += bytes;
    const progress = { stage: 'write', what, done: this.#done, total, unit: 'bytes' } as const;
    context.onProgress?.({ type: 'progress', ...progress });
  }
}

/** Leaves the field out if nothing was found. */
export function found(findings: readonly WeightFinding[] = []): Pick<ConvertedArtifact, 'findings'> {
  return findings.length > 0 ? { findings } : {};
}
