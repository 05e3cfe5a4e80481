import { basename, join, resolve } from 'node:path';
import { optimumContract } from '../convert/contracts/optimum.ts';
import { componentOf, convert, modelNames } from '../convert/convert.ts';
import { SdConvertError } from '../errors.ts';
import { type Checkpoint, type Component, openCheckpoint } from '../weights/checkpoint.ts';
import {
  type ComponentWeights,
  findWeightFile,
  openComponentWeights,
  type Variant,
} from '../weights/component-weights.ts';
import { exists, listFolder, pathKind } from '../weights/disk.ts';
import { type JsonObject, readJsonObject } from '../weights/python-json.ts';
import { isWeightless } from '../weights/recognize.ts';
import { familyOf, taskOf } from './family.ts';
import type { CheckpointInspection, ComponentInspection, NetworkInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';
import { groupWeights, plainWeight, sumOf } from './weight-groups.ts';

/**
 * Looks at a diffusers folder, part by part: one that is not supported, damaged or missing does not keep the others from
 * being described. Throws `FileFormatError` when model_index.json cannot be read.
 */
export async function inspectCheckpoint(path: string): Promise<CheckpointInspection> {
  const modelIndex = await readJsonObject(join(path, 'model_index.json'));
  const { components, missing, problems, variants } = await readParts(path, modelIndex);
  const [unet, vae] = ['unet', 'vae'].map((name) => components.get(name));
  const latentSize = sizeOf(unet?.config.sample_size);
  const scheduler = await schedulerConfig(path).catch((error) => {
    problems.push(problemOf(error));
    return null;
  });
  const pipeline = text(modelIndex._class_name);
  const checkpoint = { name: basename(resolve(path)), path, modelIndex, components, missing };
  const networks = tryNetworks({ ...checkpoint, folders: new Map(), close: async () => {} });
  const refusal = await openingRefusal(path);
  return {
    kind: 'checkpoint',
    path,
    pipeline,
    family: (unet && familyOf(unet.weights)) ?? null,
    task: (unet && taskOf(unet.weights)) ?? null,
    predictionType: scheduler && (text(scheduler.prediction_type) ?? 'epsilon'), // diffusers' default
    scheduler: scheduler && text(scheduler._class_name),
    latentSize,
    pictureSize: latentSize && vae ? inPixels(latentSize, vae) : null,
    components: [...components.values()].map(describeComponent),
    variants,
    networks,
    missing,
    problems: [...problems, ...(refusal && !problems.includes(refusal.problem) ? [refusal.problem] : [])],
    next: nextStep(path, networks, refusal),
  };
}

/** The parts that model_index.json names: those with weights opened and closed again. */
async function readParts(path: string, modelIndex: JsonObject) {
  const components = new Map<string, Component>();
  const missing: string[] = [];
  const problems: string[] = [];
  const variants = new Set<Variant>();
  for (const [name, entry] of Object.entries(modelIndex)) {
    const className = Array.isArray(entry) ? text(entry[1]) : null;
    if (className === null || !/^\w+$/.test(name)) continue;
    const folder = join(path, name);
    if ((await pathKind(folder)) !== 'folder') {
      missing.push(name);
      continue;
    }
    if (isWeightless(className)) continue;
    const names = await listFolder(folder);
    for (const variant of ['fp16', 'non_ema'] as const) {
      if (findWeightFile(names, variant)) variants.add(variant);
    }
    try {
      components.set(name, await readComponent(name, className, folder));
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  return { components, missing, problems, variants: [...variants] };
}

async function readComponent(name: string, className: string, folder: string): Promise<Component> {
  const configFile = join(folder, 'config.json');
  const config = await readJsonObject(configFile);
  const { weights, files, close }: ComponentWeights = await openComponentWeights(folder);
  await close();
  return { name, className, config, configFile, weights, files };
}

function describeComponent({ name, className, weights }: Component): ComponentInspection {
  const groups = groupWeights([...weights.values()].map(plainWeight));
  return { name, className, ...sumOf(groups), weights: groups };
}

/** Builds each network that the checkpoint has; that reads no weights. */
function tryNetworks(checkpoint: Checkpoint): NetworkInspection[] {
  const options = { contract: optimumContract, attention: 'ORIGINAL', sizes: {} } as const;
  return modelNames
    .filter((name) => checkpoint.components.has(componentOf(name)))
    .map((name) => {
      try {
        convert(checkpoint, { ...options, models: [name] });
        return { name, problem: null };
      } catch (error) {
        return { name, problem: problemOf(error) };
      }
    });
}

/** Why `convert` would not open it. */
async function openingRefusal(path: string): Promise<SdConvertError | undefined> {
  try {
    await (await openCheckpoint(path)).close();
    return undefined;
  } catch (error) {
    if (error instanceof SdConvertError) return error;
    throw error;
  }
}

function nextStep(
  path: string,
  networks: readonly NetworkInspection[],
  refusal: SdConvertError | undefined,
): CheckpointInspection['next'] {
  if (refusal) return { advice: refusal.advice ?? refusal.problem };
  const good = networks.filter(({ problem }) => problem === null).map(({ name }) => name);
  if (good.length === 0) return { advice: 'None of its networks can be converted.' };
  const only = good.length === networks.length ? [] : good;
  return nextCommand(
    'convert',
    '--model-version',
    path,
    ...only.map((name) => `--convert-${name.replaceAll('_', '-')}`),
  );
}

async function schedulerConfig(path: string): Promise<JsonObject | null> {
  const file = join(path, 'scheduler', 'scheduler_config.json');
  return (await exists(file)) ? readJsonObject(file) : null;
}

/** A `sample_size`: one number for both sides, or two. */
function sizeOf(sampleSize: unknown): readonly [number, number] | null {
  const [height, width = height] = [sampleSize].flat();
  return typeof height === 'number' && typeof width === 'number' ? [height, width] : null;
}

/** A VAE halves the picture between its levels. */
function inPixels([height, width]: readonly [number, number], { config }: Component) {
  const { block_out_channels: levels } = config;
  if (!Array.isArray(levels)) return null;
  const factor = 2 ** (levels.length - 1);
  return [height * factor, width * factor] as const;
}

function problemOf(error: unknown): string {
  if (error instanceof SdConvertError) return error.problem;
  throw error;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
