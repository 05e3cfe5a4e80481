import { basename, join, resolve } from 'node:path';
import type { Compiler } from './bundle/compile-package.ts';
import type { Context } from './context.ts';
import type { AttentionImplementation } from './convert/blocks/attention.ts';
import type { ModelName, Sizes } from './convert/contracts/contract.ts';
import { convert, type Model } from './convert/convert.ts';
import type { ArtifactName } from './emit/artifact.ts';
import type { Target as Deployment } from './emit/coreml/target.ts';
import { type ArtifactToEmit, artifactBytes, emitArtifacts } from './emit-artifacts.ts';
import { ValidationError } from './errors.ts';
import { count, formatBytes } from './format.ts';
import { verifyGraph } from './graph/verify.ts';
import { Pipeline, type Stage } from './pipeline.ts';
import { addProvenance, readProvenance } from './provenance.ts';
import { type Precision, withPrecision } from './quantize/precision.ts';
import { type TargetName, targetNames, targets } from './targets.ts';
import { validate } from './validate/validate.ts';
import type { Verdict } from './validate/verdict.ts';
import { type Checkpoint, openCheckpoint } from './weights/checkpoint.ts';
import type { Variant } from './weights/component-weights.ts';
import { freeBytes } from './weights/disk.ts';

/** What to convert, and how; `convertDefaults` fills in what is left out. */
export interface ConvertRequest {
  /** A diffusers folder. */
  readonly modelVersion: string;
  /** Where the artifacts go; `./<name of the checkpoint>` when left out. */
  readonly output?: string | undefined;
  readonly targets: readonly TargetName[];
  /** One attention for all targets; each target's own choice when left out. */
  readonly attention?: AttentionImplementation | undefined;
  /** Which networks; all that the checkpoint has when left out. */
  readonly models?: readonly ModelName[] | undefined;
  readonly precision: Precision;
  /** Bytes of weights that no chunk of the UNet may exceed; the UNet stays whole when left out. */
  readonly maxChunkBytes?: number | undefined;
  readonly sizes: Sizes;
  /** The oldest system that is to load Core ML packages. */
  readonly deployment: Deployment;
  /** Lowest PSNR in dB against the float32 reference that passes; not checked when left out. */
  readonly minPsnr?: number | undefined;
  /** Whether to complete the folder for its consumers. */
  readonly bundle: boolean;
  /** Who compiles Core ML packages for `Resources`. */
  readonly compiler: Compiler;
  /** Which of several weight files to take. */
  readonly variant?: Variant | undefined;
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
  readonly verdicts: readonly Verdict[];
}

/** One artifact of a conversion. */
export interface ConvertedArtifact {
  readonly target: TargetName;
  /** The network, or its chunk: `unet_chunk1`. */
  readonly name: ArtifactName;
  /** Its folder, relative to the output. */
  readonly path: string;
  readonly model: ModelName;
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
  try {
    return await conversion(request, opened).run(request, context);
  } finally {
    for (const checkpoint of opened) await checkpoint.close();
  }
}

/** The names of the stages that a request goes through, in order. */
export function conversionStages(options: ConvertOptions): readonly string[] {
  return conversion({ ...convertDefaults, ...options }, []).stages;
}

function conversion(request: ConvertRequest, opened: Checkpoint[]): Pipeline<ConvertRequest, ConvertResult> {
  const planned = Pipeline.from(open(opened))
    .to(convertStage(request))
    .to(quantize(request))
    .to(chunk(request));
  if (request.dryRun) return planned.to(plan);
  const emitted = planned.to(emit(request));
  const validated =
    request.minPsnr === undefined ? emitted : emitted.to(validateStage(request, request.minPsnr));
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
  readonly model: ModelName;
  readonly target: TargetName;
}

interface Emitted extends ConvertResult {
  readonly checkpoint: Checkpoint;
}

function open(opened: Checkpoint[]): Stage<ConvertRequest, Checkpoint> {
  return {
    name: 'open',
    async run({ modelVersion, variant }) {
      const checkpoint = await openCheckpoint(modelVersion, variant ? { variant } : {});
      opened.push(checkpoint);
      const weights = [...checkpoint.components.values()].map((component) => component.weights.size);
      const tensors = weights.reduce((sum, size) => sum + size, 0);
      return {
        output: checkpoint,
        detail: `${checkpoint.name}: ${[...checkpoint.components.keys()].join(', ')}, ${tensors.toLocaleString('en')} tensors`,
      };
    },
  };
}

function convertStage(request: ConvertRequest): Stage<Checkpoint, Converted> {
  return {
    name: 'convert',
    async run(checkpoint) {
      const models = request.targets.flatMap((target) => {
        const attention = request.attention ?? targets[target].attention;
        const options = {
          contract: targets[target].contract,
          attention,
          sizes: request.sizes,
          models: request.models,
        };
        return convert(checkpoint, options).map((model) => ({ model, target, attention }));
      });
      const operations = models.reduce((sum, { model }) => sum + model.graph.tensors.length, 0);
      const attentions = [...new Set(models.map(({ attention }) => attention))].join(', ');
      return {
        output: { checkpoint, models },
        detail: `${count(models.length, 'graph')}, ${count(operations, 'tensor')}, ${attentions}`,
      };
    },
  };
}

function quantize(request: ConvertRequest): Stage<Converted, Quantized> {
  return {
    name: 'quantize',
    async run({ checkpoint, models }) {
      const output = models.map(({ model, target, attention }) => {
        const precision = targets[target].precision(request.precision);
        const graph = withPrecision(model.graph, precision);
        verifyGraph(graph);
        return { target, attention, precision, model: { ...model, graph } };
      });
      const precisions = [...new Set(output.map(({ precision }) => precision))].join(', ');
      return { output: { checkpoint, models: output }, detail: precisions };
    },
  };
}

function chunk(request: ConvertRequest): Stage<Quantized, Planned> {
  return {
    name: 'chunk',
    async run({ checkpoint, models }, { onProgress }) {
      const planned = models.flatMap(({ model, target, attention, precision }) => {
        const maxChunkBytes = model.name === 'unet' ? request.maxChunkBytes : undefined;
        const { deployment } = request;
        const { artifacts, note } = targets[target].plan(model, {
          modelVersion: checkpoint.name,
          attention,
          precision,
          maxChunkBytes,
          deployment,
        });
        if (note) onProgress?.({ type: 'note', message: note });
        const options = {
          attention,
          precision,
          maxChunkBytes,
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
      const chunks = planned.filter(({ artifact }) => /_chunk\d+(\.|$)/.test(artifact.path));
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

const plan: Stage<Planned, ConvertResult> = {
  name: 'plan',
  async run({ output, artifacts }) {
    const bytes = artifacts.reduce((sum, { artifact }) => sum + artifactBytes(artifact), 0);
    const converted = artifacts.map((each) => describeArtifact(each, false));
    const detail = `${formatBytes(bytes)} would be written to ${output} (${formatBytes(await freeBytes(output))} free)`;
    return { output: { output, artifacts: converted, verdicts: [] }, detail };
  },
};

function emit({ force }: ConvertRequest): Stage<Planned, Emitted> {
  return {
    name: 'emit',
    async run({ checkpoint, output, artifacts }, context) {
      const { kept, byteLength } = await emitArtifacts(checkpoint, artifacts, { output, force }, context);
      const converted = artifacts.map((each) => describeArtifact(each, kept.has(each.artifact)));
      return {
        output: { checkpoint, output, artifacts: converted, verdicts: [] },
        detail: `${formatBytes(byteLength)} to ${output}`,
      };
    },
  };
}

function validateStage(request: ConvertRequest, minPsnr: number): Stage<Emitted, Emitted> {
  return {
    name: 'validate',
    async run(emitted, context) {
      const verdicts = await validate(
        { artifact: emitted.output, reference: request.modelVersion, minPsnr },
        context,
      );
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
        const known = await readProvenance(output);
        const own = artifacts
          .filter(({ target }) => target === name)
          .map((artifact) => ({ ...artifact, files: known.artifacts[artifact.path]?.files ?? [] }));
        const { folder, files } = await targets[name].bundle(
          checkpoint,
          own,
          { output, compiler: request.compiler },
          context,
        );
        // What earlier runs bundled there stays on record.
        const all = new Map(
          [...(known.artifacts[folder]?.files ?? []), ...files].map((file) => [file.name, file]),
        );
        await addProvenance(output, { [folder]: { source: {}, options: {}, files: [...all.values()] } });
        folders.push(join(output, folder));
      }
      return { output: emitted, detail: folders.join(', ') };
    },
  };
}

function describeArtifact(
  { target, model, artifact: { name, path, files } }: TargetArtifact,
  kept: boolean,
): ConvertedArtifact {
  return { target, name, path, model, files, kept };
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
