import { basename, join, resolve } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { familyTitles } from '../checkpoint/family.ts';
import {
  type LocatedModels,
  locateModels,
  type ModelSources,
  modelsOnHub,
  openModels,
} from '../checkpoint/open-models.ts';
import type { Context } from '../context.ts';
import type { AttentionImplementation } from '../convert/blocks/attention.ts';
import {
  type NetworkKind,
  type NetworkName,
  networkKind,
  type Sizes,
} from '../convert/contracts/contract.ts';
import { convert, type Model, networksOf } from '../convert/convert.ts';
import { notesOn } from '../convert/notes.ts';
import { traitsOf } from '../convert/traits.ts';
import { ValidationError } from '../errors.ts';
import type { PlannedArtifact } from '../formats/artifact.ts';
import { type ArtifactId, nameOf } from '../formats/artifact-id.ts';
import type { Compiler } from '../formats/coreml/compiled/compile-package.ts';
import type { DeploymentTarget } from '../formats/coreml/deployment-target.ts';
import {
  type ArtifactToEmit,
  artifactBytes,
  emitArtifacts,
  planEmission,
} from '../formats/emit-artifacts.ts';
import { readProvenance, recordBundle } from '../formats/provenance.ts';
import { type TargetName, type TargetOptions, targetNames, targets } from '../formats/targets.ts';
import { verifyGraph } from '../graph/verify.ts';
import { freeBytes } from '../io/disk.ts';
import { Pipeline, type Stage } from '../pipeline.ts';
import { planQuantization, type QuantizationOptions } from '../quantize/plan.ts';
import { type Precision, withPrecision } from '../quantize/precision.ts';
import { count, formatBytes } from '../text.ts';
import type { FoundModel } from '../validate/find-models.ts';
import { checkpointReference } from '../validate/reference.ts';
import type { Verdict } from '../validate/verdict.ts';
import { validateModels } from './validate.ts';

/** What to convert, and how; `convertDefaults` fills in what is left out. */
export interface ConvertRequest extends ModelSources {
  /** Where the artifacts go; `./<name of the checkpoint>` when left out. */
  readonly output?: string | undefined;
  readonly targets: readonly TargetName[];
  /** One attention for all targets; each target's own choice when left out. */
  readonly attention?: AttentionImplementation | undefined;
  /**
   * Which networks; all that the checkpoint has when left out. `text_encoder` stands for both of Stable Diffusion XL's,
   * `unet` for the UNet in the form that is asked for and for the refiner's; the ControlNets that are named always come.
   */
  readonly models?: readonly NetworkName[] | undefined;
  /** Whether the UNet is to take a ControlNet's residuals: `control-unet` instead of `unet`. */
  readonly controlledUnet?: boolean | undefined;
  readonly precision: Precision;
  /** Bytes of weights that no chunk of the UNet may exceed; the UNet stays whole when left out. */
  readonly maxChunkBytes?: number | undefined;
  readonly sizes: Sizes;
  /** The oldest system that is to load Core ML packages. */
  readonly deployment: DeploymentTarget;
  /** Lowest PSNR in dB against the float32 reference that passes; not checked when left out. */
  readonly minPsnr?: number | undefined;
  /** Whether to complete the folder for its consumers. */
  readonly bundle: boolean;
  /** Who compiles Core ML packages for `Resources`. */
  readonly compiler: Compiler;
  /** Weights with fewer bits; as `precision` says when left out. */
  readonly quantization?: QuantizationOptions | undefined;
  /** Whether to replace what is there. */
  readonly force: boolean;
  /** Whether to stop before anything is written. */
  readonly dryRun: boolean;
}

/** What a conversion does when nothing else is asked for. */
export const convertDefaults = {
  targets: targetNames,
  precision: 'float16',
  sizes: {},
  deployment: 'macOS13',
  compiler: 'own',
  bundle: true,
  force: false,
  dryRun: false,
} as const satisfies Partial<ConvertRequest>;

/** A conversion's options; only `modelVersion` is needed. */
export type ConvertOptions = Pick<ConvertRequest, 'modelVersion'> & Partial<ConvertRequest>;

/** What a conversion did, or with `dryRun` would do. */
export interface ConvertResult {
  readonly output: string;
  readonly artifacts: readonly ConvertedArtifact[];
  /** What completes the folder for its consumers, relative to the output. */
  readonly bundled: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** One artifact of a conversion. */
export interface ConvertedArtifact {
  readonly target: TargetName;
  readonly id: ArtifactId;
  /** Its name: `unet_chunk1`. */
  readonly name: string;
  /** Its folder, relative to the output. */
  readonly path: string;
  readonly model: NetworkName;
  readonly files: readonly { readonly name: string; readonly byteLength: number }[];
  /** Whether an earlier run's was kept. */
  readonly kept: boolean;
}

/**
 * Takes a checkpoint through every stage: open → convert → quantize → chunk → emit → validate → bundle. Throws
 * `ValidationError` when an artifact's PSNR falls short, `OutputExistsError`, `DiskSpaceError`, `InterruptedError`, and
 * what the stages throw.
 */
export async function convertCheckpoint(
  options: ConvertOptions,
  context: Context = {},
): Promise<ConvertResult> {
  const request = { ...convertDefaults, ...options };
  const opened: Checkpoint[] = [];
  // Bits that there are none of are refused before anything is downloaded.
  if (request.quantization) planQuantization(request.quantization);
  try {
    const located = await locateModels(request, context);
    return await conversion(request, opened).run(located, context);
  } finally {
    for (const checkpoint of opened) await checkpoint.close();
  }
}

/** The names of the stages that a request goes through, in order. */
export async function conversionStages(options: ConvertOptions): Promise<readonly string[]> {
  const { stages } = conversion({ ...convertDefaults, ...options }, []);
  return (await modelsOnHub(options)).length > 0 ? ['download', ...stages] : stages;
}

function conversion(request: ConvertRequest, opened: Checkpoint[]): Pipeline<LocatedModels, ConvertResult> {
  const planned = Pipeline.from(open(request, opened))
    .to(convertStage(request))
    .to(quantize(request))
    .to(chunk(request));
  if (request.dryRun) return planned.to(plan(request));
  const emitted = planned.to(emit(request));
  const validated = request.minPsnr === undefined ? emitted : emitted.to(validateStage(request.minPsnr));
  return request.bundle ? validated.to(bundle(request)) : validated;
}

interface Converted {
  readonly checkpoint: Checkpoint;
  readonly models: readonly {
    readonly model: Model;
    readonly target: TargetName;
    readonly attention: AttentionImplementation;
  }[];
}

interface Quantized {
  readonly checkpoint: Checkpoint;
  readonly models: readonly (Converted['models'][number] & { readonly precision: Precision })[];
}

interface Planned {
  readonly checkpoint: Checkpoint;
  readonly output: string;
  readonly artifacts: readonly TargetArtifact[];
}

interface TargetArtifact extends ArtifactToEmit {
  readonly model: NetworkName;
  readonly target: TargetName;
}

interface Emitted extends ConvertResult {
  readonly checkpoint: Checkpoint;
}

function open(request: ConvertRequest, opened: Checkpoint[]): Stage<LocatedModels, Checkpoint> {
  return {
    name: 'open',
    async run(located, context) {
      const checkpoint = await openModels(request, located, context);
      opened.push(checkpoint);
      for (const message of checkpoint.notes) context.onProgress?.({ type: 'note', message });
      const weights = [...checkpoint.components.values()].map((component) => component.weights.size);
      const tensors = weights.reduce((sum, size) => sum + size, 0);
      const { family } = traitsOf(checkpoint);
      const title = family ? `${familyTitles[family]}: ` : '';
      return {
        output: checkpoint,
        detail: `${checkpoint.name}, ${title}${[...checkpoint.components.keys()].join(', ')}, ${tensors.toLocaleString('en')} tensors`,
      };
    },
  };
}

function convertStage(request: ConvertRequest): Stage<Checkpoint, Converted> {
  return {
    name: 'convert',
    async run(checkpoint, { onProgress }) {
      const models = request.targets.flatMap((target) => {
        const attention = request.attention ?? targets[target].attention;
        const options = {
          contract: targets[target].contract,
          attention,
          sizes: request.sizes,
          models: namedModels(request, checkpoint),
        };
        return convert(checkpoint, options).map((model) => ({ model, target, attention }));
      });
      const names = models.map(({ model }) => model.name);
      const coreMl = request.targets.includes('coreml');
      for (const message of notesOn(checkpoint, names, { coreMl })) onProgress?.({ type: 'note', message });
      const operations = models.reduce((sum, { model }) => sum + model.graph.tensors.length, 0);
      const attentions = [...new Set(models.map(({ attention }) => attention))].join(', ');
      return {
        output: { checkpoint, models },
        detail: `${count(models.length, 'graph')}, ${count(operations, 'tensor')}, ${attentions}`,
      };
    },
  };
}

/** The networks that are asked for: what they are named by, themselves or as parts. */
function namedModels(
  { models, controlledUnet, controlnets = [] }: ConvertRequest,
  checkpoint: Checkpoint,
): NetworkName[] {
  const all = networksOf(checkpoint, { controlledUnet: controlledUnet || models?.includes('control-unet') });
  if (!models) return all;
  const isNamed = (name: NetworkName, wanted: NetworkName): boolean =>
    name === wanted || partOf(name) === wanted;
  const chosen = all.filter(
    (name) =>
      models.some((wanted) => isNamed(name, wanted)) ||
      (networkKind(name) === 'controlnet' && controlnets.length > 0),
  );
  // What is not there is refused by what opens it.
  return [...chosen, ...models.filter((wanted) => !all.some((name) => isNamed(name, wanted)))];
}

/** What a network is named by when only some are converted. */
function partOf(name: NetworkName): NetworkKind {
  const kind = networkKind(name);
  if (kind === 'text_encoder_2') return 'text_encoder';
  if (kind === 'control-unet' || kind === 'refiner') return 'unet';
  return kind;
}

function quantize(request: ConvertRequest): Stage<Converted, Quantized> {
  return {
    name: 'quantize',
    async run({ checkpoint, models }, { onProgress }) {
      const wide = new Map<string, NetworkName[]>();
      const output = models.map(({ model, target, attention }) => {
        const wanted = targets[target].precision(request.precision);
        const precision =
          model.needsFloat32 === undefined || wanted === 'float16-weights' ? wanted : 'float32';
        if (model.needsFloat32 !== undefined && precision !== wanted)
          wide.set(model.needsFloat32, [...(wide.get(model.needsFloat32) ?? []), model.name]);
        const graph = withPrecision(model.graph, precision);
        verifyGraph(graph);
        return { target, attention, precision, model: { ...model, graph } };
      });
      for (const [reason, names] of wide)
        onProgress?.({ type: 'note', message: `${[...new Set(names)].join(' and ')} in float32: ${reason}` });
      const precisions = [...new Set(output.map(({ precision }) => precision))].join(', ');
      const { bits } = request.quantization ?? {};
      const detail = bits === undefined ? precisions : `${precisions}, weights of ${bits} bits`;
      return { output: { checkpoint, models: output }, detail };
    },
  };
}

/** What gets fewer bits, as with Apple's tool: a VAE or a safety checker would save little and lose much. */
const quantizedParts: ReadonlySet<NetworkKind> = new Set(['text_encoder', 'unet', 'controlnet']);

function chunk(request: ConvertRequest): Stage<Quantized, Planned> {
  return {
    name: 'chunk',
    async run({ checkpoint, models }, { onProgress }) {
      const plans = new OnePlan();
      const { license } = traitsOf(checkpoint);
      const planned = models.flatMap(({ model, target, attention, precision }) => {
        const part = partOf(model.name);
        const maxChunkBytes = part === 'unet' ? request.maxChunkBytes : undefined;
        const quantization = quantizedParts.has(part) ? request.quantization : undefined;
        const { deployment } = request;
        const { artifacts, note } = plans.of(model, target, {
          modelVersion: checkpoint.name,
          license,
          attention,
          precision,
          quantization,
          maxChunkBytes,
          deployment,
        });
        if (note) onProgress?.({ type: 'note', message: note });
        const options = {
          attention,
          precision,
          maxChunkBytes,
          quantization,
          loras: request.loras?.map(({ path, scale }) => [basename(path), scale]),
          ...(target === 'coreml' ? { deployment } : {}),
          ...request.sizes,
        };
        return artifacts.map((artifact) => ({
          target,
          model: model.name,
          component: model.component,
          artifact,
          options,
        }));
      });
      const chunks = planned.filter(({ artifact }) => artifact.id.chunk);
      const detail = chunks
        .map(({ artifact }) => `${basename(artifact.path)} ${formatBytes(artifactBytes(artifact))}`)
        .join(', ');
      return {
        output: { checkpoint, output: outputFolder(request, checkpoint), artifacts: planned },
        detail: detail || 'whole',
      };
    },
  };
}

/**
 * Plans models, and again when they are written: a large model in a target's form takes 100 MB, and there is only one at a
 * time. Planning is a matter of tenths of a second and gives the same each time.
 */
class OnePlan {
  #latest:
    | { readonly model: Model; readonly target: TargetName; readonly artifacts: readonly PlannedArtifact[] }
    | undefined;

  /** The plan of a model; its artifacts are planned anew when they are written after those of another. */
  of(model: Model, target: TargetName, options: TargetOptions) {
    // Forgotten once it is written.
    let source: Model | undefined = model;
    const plan = (): readonly PlannedArtifact[] => {
      if (!source) return [];
      if (this.#latest?.model === source && this.#latest.target === target) return this.#latest.artifacts;
      this.#latest = undefined; // before the next is made
      const { artifacts } = targets[target].plan(source, options);
      this.#latest = { model: source, target, artifacts };
      return artifacts;
    };
    const { artifacts, note } = targets[target].plan(model, options);
    const last = artifacts.length - 1;
    return {
      note,
      artifacts: artifacts.map(
        ({ id, path, files }, index): PlannedArtifact => ({
          id,
          path,
          files,
          write: async (folder, onBytes) => {
            const artifact = plan()[index];
            if (!artifact) throw new Error(`${path} was planned, and is not when written`);
            const written = await artifact.write(folder, onBytes);
            if (index === last) source = this.#latest = undefined;
            return written;
          },
        }),
      ),
    };
  }
}

function plan(request: ConvertRequest): Stage<Planned, ConvertResult> {
  return {
    name: 'plan',
    async run({ checkpoint, output, artifacts }, context) {
      const place = { output, force: request.force };
      const { kept, otherForms, obstacle } = await planEmission(checkpoint, artifacts, place, context);
      const note = (message: string) => context.onProgress?.({ type: 'note', message });
      if (obstacle) note(`the conversion would stop: ${obstacle.problem} ${obstacle.advice ?? ''}`);
      else
        for (const path of otherForms)
          note(`${path} would be removed: it is another form of what is written.`);
      const bytes = artifacts
        .filter(({ artifact }) => !kept.has(artifact))
        .reduce((sum, { artifact }) => sum + artifactBytes(artifact), 0);
      const converted = artifacts.map((each) => describeArtifact(each, kept.has(each.artifact)));
      const bundled = request.bundle ? bundledPaths(request, checkpoint, converted) : [];
      const detail = `${formatBytes(bytes)} would be written to ${output} (${formatBytes(await freeBytes(output))} free)`;
      return { output: { output, artifacts: converted, bundled, verdicts: [] }, detail };
    },
  };
}

function emit({ force }: ConvertRequest): Stage<Planned, Emitted> {
  return {
    name: 'emit',
    async run({ checkpoint, output, artifacts }, context) {
      const { kept, byteLength } = await emitArtifacts(checkpoint, artifacts, { output, force }, context);
      const converted = artifacts.map((each) => describeArtifact(each, kept.has(each.artifact)));
      return {
        output: { checkpoint, output, artifacts: converted, bundled: [], verdicts: [] },
        detail: `${formatBytes(byteLength)} to ${output}`,
      };
    },
  };
}

function validateStage(minPsnr: number): Stage<Emitted, Emitted> {
  return {
    name: 'validate',
    async run(emitted, context) {
      const reference = checkpointReference(emitted.checkpoint, context);
      const verdicts = await validateModels(foundModels(emitted), reference, { minPsnr }, context);
      const failed = verdicts.filter(({ pass }) => !pass);
      if (failed.length > 0) throw tooFar(failed, minPsnr);
      const lowest = Math.min(...verdicts.map(lowestPsnr));
      return {
        output: { ...emitted, verdicts },
        detail: `${count(verdicts.length, 'model')}, lowest PSNR ${lowest.toFixed(1)} dB (floor ${minPsnr})`,
      };
    },
  };
}

function bundle(request: ConvertRequest): Stage<Emitted, Emitted> {
  return {
    name: 'bundle',
    async run(emitted, context) {
      const { checkpoint, output, artifacts } = emitted;
      const folders: string[] = [];
      for (const name of request.targets) {
        const known = (await readProvenance(output))?.artifacts ?? {};
        const own = artifacts
          .filter(({ target }) => target === name)
          .map((artifact) => ({ ...artifact, files: known[artifact.path]?.files ?? [] }));
        const place = { output, compiler: request.compiler };
        const { folder, files } = await targets[name].bundle(checkpoint, own, place, context);
        await recordBundle(output, folder, files);
        folders.push(join(output, folder));
      }
      const bundled = bundledPaths(request, checkpoint, artifacts);
      return { output: { ...emitted, bundled }, detail: folders.join(', ') };
    },
  };
}

/** What bundling writes, relative to the output. */
function bundledPaths(
  { targets: names }: ConvertRequest,
  checkpoint: Checkpoint,
  artifacts: readonly ConvertedArtifact[],
): string[] {
  return names.flatMap((name) => {
    const own = artifacts.filter(({ target }) => target === name);
    return targets[name].bundledPaths(checkpoint, own);
  });
}

/** The models that were written or kept, chunks together. */
function foundModels({ output, artifacts }: Emitted): FoundModel[] {
  const groups = Map.groupBy(artifacts, ({ target, model }) => `${target} ${model}`);
  return [...groups.values()].flatMap((parts) => {
    const paths = parts.map(({ path }) => join(output, path));
    return parts.slice(0, 1).map(({ model }) => ({ name: model, paths, root: output }));
  });
}

function describeArtifact(
  { target, model, artifact: { id, path, files } }: TargetArtifact,
  kept: boolean,
): ConvertedArtifact {
  return { target, id, name: nameOf(id), path, model, files, kept };
}

/** `./<name>`, or beside the checkpoint where that would be the checkpoint itself. */
function outputFolder({ output }: ConvertRequest, { name, path }: Checkpoint): string {
  if (output !== undefined) return output;
  return resolve(name) === resolve(path) ? `${name}-sdconvert` : name;
}

function lowestPsnr({ outputs }: Verdict): number {
  return Math.min(...outputs.map(({ psnr }) => psnr));
}

function tooFar(failed: readonly Verdict[], minPsnr: number): ValidationError {
  return new ValidationError({
    problem: `${count(failed.length, 'model')} ${failed.length === 1 ? 'is' : 'are'} too far from the float32 reference.`,
    details: Object.fromEntries(
      failed.map((verdict) => [
        verdict.model,
        `${lowestPsnr(verdict).toFixed(1)} dB, at least ${minPsnr} dB wanted`,
      ]),
    ),
    advice:
      'The artifacts are kept for inspection. Try --precision float16-weights or float32, or lower --min-psnr.',
  });
}
