import { basename } from 'node:path';
import { formsOf } from '../../bundle/profiles/profiles.ts';
import { refuseUnserved } from '../../bundle/profiles/refusals.ts';
import type { Checkpoint, Component } from '../../checkpoint/checkpoint.ts';
import { cardOf, type NetworkName, networkKind } from '../../convert/networks/networks.ts';
import { traitsOf } from '../../convert/traits.ts';
import { RequestError } from '../../errors.ts';
import { type PlannedArtifact, totalBytes } from '../../formats/artifact.ts';
import { nameOf } from '../../formats/artifact-id.ts';
import type { ClientForm } from '../../formats/client-form.ts';
import type { TargetName } from '../../formats/format.ts';
import { type BuiltArtifact, targets } from '../../formats/targets.ts';
import { sameButForCase } from '../../io/same-name.ts';
import type { Stage } from '../../pipeline.ts';
import { count, formatBytes } from '../../text.ts';
import { clientsOf } from './clients.ts';
import type { Examination } from './examination.ts';
import { checkMemory, conversionMemory, type MemoryNeed, memoryNote } from './memory.ts';
import { outputFolder } from './output.ts';
import type { Precise, PreciseModel } from './precision.ts';
import type { ConvertedArtifact, ConvertRequest } from './request.ts';
import { SourceHashes } from './source-hashes.ts';
import { type PlannedTwin, twinsOf } from './twins.ts';

/** Everything that will be written, with exact sizes. */
export interface Planned {
  readonly checkpoint: Checkpoint;
  /** Output folder. */
  readonly output: string;
  /** Writing removes each model from the list, so that its graph can be garbage-collected. */
  readonly models: PlannedModel[];
  /** Artifacts whose weights another one has. */
  readonly twins: ReadonlyMap<PlannedArtifact, PlannedTwin>;
  readonly memory: MemoryNeed;
  readonly sources: SourceHashes;
}

/** A network for one target: one artifact, or one per chunk. */
export interface PlannedModel {
  readonly network: NetworkName;
  readonly component: Component;
  readonly target: TargetName;
  /** The client whose form it has; absent for its target's own. */
  readonly client?: string | undefined;
  /** Options that determine the artifacts' bytes. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly artifacts: readonly PlannedArtifact[];
  /** Check of its weights while they are written. */
  readonly examination: Examination;
  /** Builds the artifacts, in the same order. */
  build(): readonly BuiltArtifact[];
}

/**
 * Decides the bits of each weight and where to cut the UNet. A model in a target's form takes up to 100 MB of memory, so
 * models are built one at a time, asked for their files and dropped; writing builds them again, in tenths of a second.
 */
export function planStage(request: ConvertRequest): Stage<Precise, Planned> {
  return {
    name: 'plan',
    async run({ checkpoint, models }, { onProgress, signal, closeAtEnd }) {
      const sources = new SourceHashes(checkpoint.path, signal);
      closeAtEnd(sources);
      // Planning takes one core.
      if (!request.dryRun) sources.begin(models.map(({ model }) => model.component));
      const loras = await loraRecords(checkpoint, sources);
      const clients = clientsOf(request);
      refuseUnserved(clients, { name: checkpoint.name, isXl: traitsOf(checkpoint).isXl });
      const planned = models.flatMap((model) =>
        formsOf(clients, model.target)
          .filter((form) => form?.networks.includes(networkKind(model.model.name)) !== false)
          .map((form) => {
            const { notes, ...plan } = planModel(request, checkpoint, model, { loras, form });
            for (const message of notes) onProgress?.({ type: 'note', message });
            return plan;
          }),
      );
      refuseSameNames(planned);
      for (const { target, component } of planned) await targets[target].checkCompletion(component);
      const memory = memoryNeed(request, checkpoint, models, planned);
      const tooLittle = memoryNote(memory, process.availableMemory());
      if (tooLittle !== undefined) onProgress?.({ type: 'note', message: tooLittle });
      const output = await outputFolder(request.output, checkpoint);
      const twins = twinsOf(planned);
      return {
        output: { checkpoint, output, models: planned, twins, memory, sources },
        detail: describe(request, planned, twins),
      };
    },
  };
}

/** Of models in several forms, the first one is checked. */
function memoryNeed(
  { minPsnr, sizes, maxMemoryBytes }: ConvertRequest,
  checkpoint: Checkpoint,
  models: readonly PreciseModel[],
  planned: readonly PlannedModel[],
): MemoryNeed {
  const conversion = conversionMemory(models.map(({ model }) => model.graph.tensors.length));
  if (minPsnr === undefined) return { conversion };
  const checked = planned.map(({ network, target, artifacts }) => {
    const built = models.find((each) => each.model.name === network && each.target === target);
    return { network, target, artifacts, attention: built?.attention ?? 'ORIGINAL' };
  });
  return { conversion, check: checkMemory(checkpoint, checked, sizes, maxMemoryBytes) };
}

/** Throws `RequestError` for two artifacts that would be one folder where case does not count. */
function refuseSameNames(models: readonly PlannedModel[]): void {
  const same = sameButForCase(models.flatMap(({ artifacts }) => artifacts.map(({ path }) => path)));
  if (!same) return;
  throw new RequestError({
    problem: `two results would have names that differ by case alone: ${same.join(' and ')}.`,
    advice: 'On Windows and macOS that is one name. Convert one of the models into another --output.',
  });
}

/** A LoRA as it is on record. */
interface LoraRecord {
  readonly name: string;
  readonly scale: number;
  readonly sha256: string;
}

async function loraRecords(
  { loras = [] }: Checkpoint,
  sources: SourceHashes,
): Promise<readonly LoraRecord[] | undefined> {
  const records: LoraRecord[] = [];
  for (const { name, path, scale } of loras)
    records.push({ name, scale, sha256: await sources.ofSource(path) });
  return records.length > 0 ? records : undefined;
}

function planModel(
  { quantization, maxChunkBytes, deployment, sizes }: ConvertRequest,
  checkpoint: Checkpoint,
  { model, target, attention, precision, examination }: PreciseModel,
  {
    loras,
    form,
  }: { readonly loras: readonly LoraRecord[] | undefined; readonly form: ClientForm | undefined },
): PlannedModel & { readonly notes: readonly string[] } {
  const { part, fewerBits } = cardOf(model.name);
  const own = {
    attention,
    precision,
    maxChunkBytes: part === 'unet' ? maxChunkBytes : undefined,
    quantization: fewerBits ? quantization : undefined,
  };
  const { license } = traitsOf(checkpoint);
  const options = { ...own, modelVersion: checkpoint.name, license, deployment, form };
  const { artifacts, notes } = targets[target].build(model, options);
  return {
    network: model.name,
    component: model.component,
    target,
    client: form?.client,
    examination,
    options: {
      ...own,
      client: form?.client,
      loras,
      origin: model.component.id, // the checkpoint itself where there is none
      ...(target === 'coreml' ? { deployment } : {}),
      ...targets[target].sizes(sizes),
    },
    artifacts: artifacts.map(({ id, path, files }) => ({ id, path, files: files() })),
    build: () => targets[target].build(model, options).artifacts,
    notes,
  };
}

/** Describes a planned artifact for the conversion's result. */
export function describeArtifact(
  { network: model, target, client }: PlannedModel,
  artifact: PlannedArtifact,
  kept: boolean,
  twins: Planned['twins'],
): ConvertedArtifact {
  const { id, path, files } = artifact;
  const twin = twins.get(artifact);
  return {
    target,
    id,
    name: nameOf(id),
    path,
    model,
    ...(client !== undefined && { client }),
    files,
    kept,
    ...(twin && { twin }),
  };
}

/** Bytes that writing these artifacts takes on the disk. */
export function bytesToWrite(artifacts: readonly ConvertedArtifact[]): number {
  return artifacts
    .filter(({ kept }) => !kept)
    .reduce((sum, { files, twin }) => sum + totalBytes(files) - (twin?.sharedBytes ?? 0), 0);
}

function describe(
  { quantization }: ConvertRequest,
  models: readonly PlannedModel[],
  twins: Planned['twins'],
): string {
  const artifacts = models.flatMap((model) => model.artifacts);
  const bytes = artifacts.reduce(
    (sum, artifact) => sum + totalBytes(artifact.files) - (twins.get(artifact)?.sharedBytes ?? 0),
    0,
  );
  const chunks = artifacts
    .filter(({ id }) => id.chunk)
    .map(({ path, files }) => `${basename(path)} ${formatBytes(totalBytes(files))}`);
  return [
    `${count(artifacts.length, 'artifact')} of ${formatBytes(bytes)}`,
    ...(quantization ? [`weights in ${quantization.bits} bits`] : []),
    ...chunks,
  ].join(', ');
}
