import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import type { ModelName } from '../convert/contracts/contract.ts';
import { optimumContract } from '../convert/contracts/optimum.ts';
import { componentOf, convert } from '../convert/convert.ts';
import { buildOnnxModel } from '../emit/onnx/build-model.ts';
import { writeOnnx } from '../emit/onnx/write-onnx.ts';
import { NotFoundError } from '../errors.ts';
import { type Checkpoint, openCheckpoint } from '../weights/checkpoint.ts';
import { findWeightFile } from '../weights/component-weights.ts';
import { exists, listFolder, pathKind, removePath } from '../weights/disk.ts';
import { openSafetensors } from '../weights/safetensors-file.ts';
import { readTensor, type TensorData } from '../weights/tensor-data.ts';
import { type FoundModel, findModels, modelPlaces } from './find-models.ts';
import { type ModelSettings, readModelSettings } from './model-settings.ts';
import type { TensorMap } from './runner.ts';

/** What an artifact is compared with. */
export type Reference = RecordedReference | RunnableReference;

/** Inputs, and the outputs that another program computed from them. */
export interface RecordedReference {
  readonly kind: 'recorded';
  readonly tensors: TensorMap;
  close(): Promise<void>;
}

/** Models that can be run on any inputs. */
export interface RunnableReference {
  readonly kind: 'runnable';
  readonly settings: ModelSettings;
  /** Whether it has a text encoder beside other models. */
  readonly hasTextEncoder: boolean;
  /** Lets `use` run the reference's form of a model, given as an artifact or chunks. Throws `NotFoundError`. */
  withModel<T>(model: WantedModel, use: (paths: readonly string[]) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A model that a reference is asked for: by its folder's name, or by the network it is. */
export interface WantedModel {
  readonly name: string;
  readonly network: ModelName;
}

/**
 * Opens what an artifact is to be compared with: a `.safetensors` of recorded inputs and outputs; an `.onnx`, a
 * component's folder or an output folder; or a checkpoint, whose networks are then built anew, in float32 with ORIGINAL
 * attention. Throws `NotFoundError`, `FileFormatError`, and what opening a checkpoint throws.
 */
export async function openReference(path: string, context: Context): Promise<Reference> {
  if (path.endsWith('.safetensors') && (await pathKind(path)) !== 'folder') return recorded(path);
  return (await isCheckpoint(path)) ? builtFrom(path, context) : converted(path);
}

async function recorded(path: string): Promise<RecordedReference> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, TensorData>();
    for (const [name, weight] of file.weights) tensors.set(name, await readTensor(weight, weight.dtype));
    return { kind: 'recorded', tensors, close: async () => {} };
  } finally {
    await file.close();
  }
}

async function converted(path: string): Promise<RunnableReference> {
  const models = await findModels(path, `${modelPlaces}; a checkpoint; or recorded tensors (.safetensors)`);
  const [only, ...others] = models;
  return {
    kind: 'runnable',
    settings: only ? await readModelSettings(only.root) : {},
    hasTextEncoder: models.some(({ name }) => name === 'text_encoder'),
    async withModel({ name }, use) {
      const found = models.find((model) => model.name === name) ?? (others.length === 0 ? only : undefined);
      if (!found) throw noSuchModel(path, name, models);
      return use(found.paths);
    },
    close: async () => {},
  };
}

async function builtFrom(path: string, context: Context): Promise<RunnableReference> {
  const checkpoint = await openCheckpoint(path);
  return {
    kind: 'runnable',
    settings: await readModelSettings(path),
    hasTextEncoder: checkpoint.components.has(componentOf('text_encoder')),
    withModel: ({ network }, use) =>
      inTemporaryFolder(async (folder) => {
        await writeReference(checkpoint, network, folder, context);
        return use([folder]);
      }),
    close: () => checkpoint.close(),
  };
}

/** Writes a network as the plainest model it can be. */
async function writeReference(
  checkpoint: Checkpoint,
  network: ModelName,
  folder: string,
  { signal }: Context,
): Promise<void> {
  const options = { models: [network], contract: optimumContract, attention: 'ORIGINAL', sizes: {} } as const;
  for (const { graph } of convert(checkpoint, options)) {
    await writeOnnx(buildOnnxModel(graph, { model: network }), folder, () => throwIfInterrupted(signal));
  }
}

async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(tmpdir(), `sdconvert-${randomUUID()}`);
  try {
    return await use(folder);
  } finally {
    await removePath(folder);
  }
}

/** Whether a folder is a checkpoint; a converted folder has a model_index.json too, but no safetensors. */
async function isCheckpoint(path: string): Promise<boolean> {
  if (!(await exists(join(path, 'model_index.json')))) return false;
  for (const name of await listFolder(path)) {
    const folder = join(path, name);
    if ((await pathKind(folder)) === 'folder' && findWeightFile(await listFolder(folder))) return true;
  }
  return false;
}

function noSuchModel(path: string, name: string, models: readonly FoundModel[]): NotFoundError {
  return new NotFoundError({
    problem: `the reference ${path} has no ${name}.`,
    details: { 'it has': models.map((model) => model.name).join(', ') },
    advice: `Compare with one that has it, or leave ${name} out.`,
  });
}
