import { basename, join, resolve } from 'node:path';
import { type Checkpoint, type Component, natureOf } from '../checkpoint/checkpoint.ts';
import { openComponentFolder } from '../checkpoint/component.ts';
import { type Variant, variantsAmong } from '../checkpoint/component-weights.ts';
import { familyTitles, kindTitles } from '../checkpoint/family.ts';
import { namedParts } from '../checkpoint/model-index.ts';
import { openCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { isWeightless } from '../checkpoint/recognize/pipelines.ts';
import { readSideText, sideFileName } from '../checkpoint/side-file.ts';
import { widths } from '../convert/config/number-ranges.ts';
import { optimumContract } from '../convert/contracts/optimum.ts';
import { convert, networksOf } from '../convert/convert.ts';
import { SdConvertError } from '../errors.ts';
import { exists, listFolder, pathKind } from '../io/disk.ts';
import { isJsonObject, type JsonObject, parsePythonJson, readJsonObject } from '../io/json/python-json.ts';
import { groupWeights, plainWeight, sumOf } from '../weights/weight-groups.ts';
import type { CheckpointInspection, ComponentInspection, NetworkInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/**
 * Looks at a diffusers folder, part by part: one that is not supported, damaged or missing does not keep the others from
 * being described. Throws `FileFormatError` when model_index.json cannot be read.
 */
export async function inspectCheckpoint(path: string): Promise<CheckpointInspection> {
  const modelIndex = await readJsonObject(join(path, 'model_index.json'));
  const { opened, refusal } = await tryOpening(path);
  const { components, missing, problems, variants } = await readParts(path, modelIndex, opened);
  const scheduler = await schedulerConfig(join(path, 'scheduler', 'scheduler_config.json')).catch((error) => {
    problems.push(problemOf(error));
    return null;
  });
  const checkpoint: Checkpoint = {
    name: basename(resolve(path)),
    path,
    modelIndex,
    components,
    folders: new Map(),
    missing,
    ...natureOf(components),
    notes: opened?.notes ?? [],
    close: async () => {},
  };
  if (refusal && !problems.includes(refusal.problem)) problems.push(refusal.problem);
  return { ...describeCheckpoint(checkpoint, scheduler, refusal), variants, problems };
}

/** Looks at a checkpoint in a single file, which could be opened. */
export async function inspectOpened(
  checkpoint: Checkpoint,
  format: CheckpointInspection['format'],
): Promise<CheckpointInspection> {
  const [file] = checkpoint.folders.get('scheduler') ?? [];
  const scheduler = file === undefined ? null : parsePythonJson(await readSideText(file), sideFileName(file));
  return { ...describeCheckpoint(checkpoint, isJsonObject(scheduler) ? scheduler : null, undefined), format };
}

function describeCheckpoint(
  checkpoint: Checkpoint,
  scheduler: JsonObject | null,
  refusal: SdConvertError | undefined,
): CheckpointInspection {
  const { path, modelIndex, components, missing, family, kind, notes } = checkpoint;
  const [unet, vae] = ['unet', 'vae'].map((name) => components.get(name));
  const latentSize = sizeOf(unet?.config.sample_size);
  const networks = tryNetworks(checkpoint);
  return {
    kind: 'checkpoint',
    format: 'diffusers folder',
    path,
    pipeline: text(modelIndex._class_name),
    family: family ? familyTitles[family] : null,
    task: kind ? kindTitles[kind] : null,
    predictionType: scheduler && (text(scheduler.prediction_type) ?? 'epsilon'), // diffusers' default
    scheduler: scheduler && text(scheduler._class_name),
    compatibleSchedulers: [],
    latentSize,
    pictureSize: latentSize && vae ? inPixels(latentSize, vae) : null,
    components: [...components.values()].map(describeComponent),
    variants: [],
    networks,
    missing,
    notes,
    problems: [],
    next: nextStep(checkpoint, networks, refusal),
  };
}

/** The parts that model_index.json names: those with weights, opened here where the checkpoint as a whole could not be. */
async function readParts(path: string, modelIndex: JsonObject, opened: Checkpoint | undefined) {
  const components = new Map<string, Component>();
  const missing: string[] = [];
  const problems: string[] = [];
  const variants = new Set<Variant>();
  for (const [name, className] of namedParts(modelIndex, join(path, 'model_index.json'))) {
    if (!/^\w+$/.test(name)) continue;
    const folder = join(path, name);
    if ((await pathKind(folder)) !== 'folder') {
      missing.push(name);
      continue;
    }
    if (isWeightless(className)) continue;
    const names = await listFolder(folder);
    for (const variant of variantsAmong(names)) variants.add(variant);
    try {
      const component = opened?.components.get(name) ?? (await openAndClose(folder, { name, className }));
      components.set(name, component);
    } catch (error) {
      problems.push(problemOf(error));
    }
  }
  return { components, missing, problems, variants: [...variants] };
}

function describeComponent({ name, className, weights }: Component): ComponentInspection {
  const groups = groupWeights([...weights.values()].map(plainWeight));
  return { name, className, ...sumOf(groups), weights: groups };
}

/** Builds each network that the checkpoint has; that reads no weights. */
function tryNetworks(checkpoint: Checkpoint): NetworkInspection[] {
  const options = { contract: optimumContract, attention: 'ORIGINAL', sizes: {} } as const;
  return networksOf(checkpoint).map((name) => {
    try {
      convert(checkpoint, { ...options, models: [name] });
      return { name, problem: null };
    } catch (error) {
      return { name, problem: problemOf(error) };
    }
  });
}

/** Opens a checkpoint as `convert` does and closes it again, or gives the refusal. */
async function tryOpening(path: string): Promise<{ opened?: Checkpoint; refusal?: SdConvertError }> {
  try {
    const opened = await openCheckpoint(path);
    await opened.close();
    return { opened };
  } catch (error) {
    if (error instanceof SdConvertError) return { refusal: error };
    throw error;
  }
}

async function openAndClose(...named: Parameters<typeof openComponentFolder>): Promise<Component> {
  const component = await openComponentFolder(...named);
  await component.close();
  return component;
}

function nextStep(
  { path, family, components }: Checkpoint,
  networks: readonly NetworkInspection[],
  refusal: SdConvertError | undefined,
): CheckpointInspection['next'] {
  if (refusal) return { advice: refusal.advice ?? refusal.problem };
  const good = networks.filter(({ problem }) => problem === null).map(({ name }) => name);
  if (good.length === 0) return { advice: 'None of its networks can be converted.' };
  // A refiner continues what the base model began; alone it can only be converted.
  if (family === 'sdxl-refiner' && good.length === networks.length) {
    const command = nextCommand('convert', '--model-version', 'CHECKPOINT', '--refiner-version', path);
    return { ...command, where: `CHECKPOINT is a checkpoint of ${familyTitles.sdxl}.` };
  }
  // Only a UNet says how large the latents are, which Core ML has to know.
  const needsSize = !components.has('unet') && good.some((name) => /^(vae|controlnet)/.test(name));
  const only = good.length === networks.length ? [] : good;
  return nextCommand(
    'convert',
    '--model-version',
    path,
    ...only.map((name) => `--convert-${name.replaceAll('_', '-')}`),
    ...(needsSize ? ['--latent-h', '64', '--latent-w', '64'] : []),
  );
}

async function schedulerConfig(file: string): Promise<JsonObject | null> {
  return (await exists(file)) ? readJsonObject(file) : null;
}

/** A `sample_size`: one number for both sides, or two. */
function sizeOf(sampleSize: unknown): readonly [number, number] | null {
  const [height, width = height] = [sampleSize].flat();
  return typeof height === 'number' && typeof width === 'number' ? [height, width] : null;
}

/** A VAE halves the picture between its levels. */
function inPixels([height, width]: readonly [number, number], { config }: Component) {
  const { data: levels } = widths.safeParse(config.block_out_channels);
  if (!levels) return null;
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
