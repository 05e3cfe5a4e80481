import { homedir } from 'node:os';
import { basename, extname, resolve } from 'node:path';
import type { Context } from '../context.ts';
import { RequestError } from '../errors.ts';
import { isHubId, isOutput } from '../hub/hub-id.ts';
import { type HubOptions, hubOptionsFrom } from '../hub/hub-options.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { OpenComponent } from './component.ts';
import type { Variant } from './component-weights.ts';
import { composeCheckpoint } from './compose-checkpoint.ts';
import { resolveModel } from './from-hub/resolve-model.ts';
import type { LoraChoice } from './lora/lora-argument.ts';
import { withLora } from './lora/merge-lora.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { openComponent } from './open-component.ts';
import { isWeightless } from './recognize/pipelines.ts';
import type { PredictionType } from './single-file/prediction.ts';

/** The models of a conversion. Each name is a path, or an id on the Hub where there is no such path. */
export interface ModelSources {
  /** The checkpoint: a diffusers folder, a single file, or `org/name` on the Hub. */
  readonly modelVersion: string;
  /** The checkpoint of the refiner. */
  readonly refinerVersion?: string | undefined;
  /** A VAE that replaces the checkpoint's. */
  readonly customVaeVersion?: string | undefined;
  readonly controlnets?: readonly string[] | undefined;
  /** LoRAs, merged in this order. */
  readonly loras?: readonly LoraChoice[] | undefined;
  /** Variant of the weight files, where there are several. */
  readonly variant?: Variant | undefined;
  /** Prediction type of the UNet, where the checkpoint lacks it or has a wrong one. */
  readonly predictionType?: PredictionType | undefined;
  /** Whether tensors outside of the networks, and parts of LoRAs that do not fit, are refused instead of ignored. */
  readonly strict?: boolean | undefined;
  /** Address, cache and revision (of the checkpoint) on the Hub; default: the public Hub and the usual cache. */
  readonly hub?: HubOptions | undefined;
}

/** Local path of each model, by its name in `ModelSources`. */
export type LocatedModels = ReadonlyMap<string, string>;

/** Lists the models that must be downloaded from the Hub. */
export async function modelsOnHub(sources: ModelSources): Promise<string[]> {
  const onHub: string[] = [];
  for (const name of namesIn(sources)) if (await isHubId(name)) onHub.push(name);
  return onHub;
}

/** Downloads the models that come from the Hub. Throws `RequestError`, and as `resolveModel` does. */
export async function locateModels(sources: ModelSources, context: Context): Promise<LocatedModels> {
  const { variant, modelVersion } = sources;
  const located = new Map(namesIn(sources).map((name) => [name, name]));
  for (const name of located.keys())
    if ((await isOutput(name)) && !(await isHubId(name))) throw outputInstead(name);
  if (sources.hub?.revision !== undefined && !(await isHubId(modelVersion)))
    throw revisionOnDisk(modelVersion, sources.hub.revision);
  for (const name of await modelsOnHub(sources)) {
    const hub = sources.hub ?? (await hubOptionsFrom({}, homedir()));
    const revision = name === modelVersion ? hub.revision : undefined;
    located.set(name, (await resolveModel(name, { ...hub, revision, variant }, context)).path);
  }
  return located;
}

function revisionOnDisk(path: string, revision: string): RequestError {
  return new RequestError({
    problem: `--revision ${revision} names a version on the Hub, and ${path} is on this disk.`,
    advice: 'Leave out --revision, or name a model on the Hub.',
  });
}

/**
 * Opens the checkpoint with the other models: refiner, VAE and ControlNets become components of it, LoRAs are merged
 * into its weights. Throws as `openCheckpoint`, `openComponent`, `composeCheckpoint` and `withLora` do.
 */
export async function openModels(
  sources: ModelSources,
  located: LocatedModels,
  context: Context,
): Promise<Checkpoint> {
  const { modelVersion, refinerVersion, customVaeVersion, controlnets = [], loras = [] } = sources;
  const { variant, strict, predictionType } = sources;
  const options = { variant, strict };
  const open: { close(): Promise<void> }[] = [];
  const closeable = <T extends { close(): Promise<void> }>(opened: T): T => {
    open.push(opened);
    return opened;
  };
  const pathOf = (name: string): string => located.get(name) ?? name;
  try {
    const plain = closeable(await openCheckpoint(pathOf(modelVersion), { ...options, predictionType }));
    const checkpoint = { ...plain, name: titleOf(modelVersion, plain.path, plain.name) };
    const component = async (name: string, as: 'vae' | 'controlnet'): Promise<OpenComponent> => {
      const path = pathOf(name);
      const opened = closeable(await openComponent(path, { as, ...options, family: checkpoint.family }));
      const ending = opened.adapted ? extname(path) : ''; // a single file's
      return { ...opened, id: titleOf(name, path, basename(resolve(path), ending)) };
    };
    const refiner = refinerVersion && closeable(await openCheckpoint(pathOf(refinerVersion), options));
    const composed = composeCheckpoint(checkpoint, {
      refiner: refiner
        ? { ...refiner, name: titleOf(refinerVersion, refiner.path, refiner.name) }
        : undefined,
      vae: customVaeVersion === undefined ? undefined : await component(customVaeVersion, 'vae'),
      controlnets: await inTurn(distinct(controlnets, pathOf), (name) => component(name, 'controlnet')),
    });
    return await withLora(withMissingNoted(composed), loras, context, { strict });
  } catch (error) {
    await Promise.all(open.map((each) => each.close()));
    throw error;
  }
}

function namesIn({
  modelVersion,
  refinerVersion,
  customVaeVersion,
  controlnets = [],
}: ModelSources): string[] {
  return [modelVersion, refinerVersion, customVaeVersion, ...controlnets].filter(
    (name) => name !== undefined,
  );
}

function outputInstead(path: string): RequestError {
  return new RequestError({
    problem: `${path} is the output of a conversion, not a checkpoint: it holds sdconvert.json.`,
    advice: 'Name the checkpoint that it was made from. sdconvert inspect lists what the folder holds.',
  });
}

/** Drops names of the same path: scripts may name a model twice. */
function distinct(names: readonly string[], pathOf: (name: string) => string): string[] {
  return [...new Map(names.map((name) => [resolve(pathOf(name)), name])).values()];
}

/** Notes networks that a folder names and lacks. Single files note theirs; a missing safety checker does not matter. */
function withMissingNoted(checkpoint: Checkpoint): Checkpoint {
  const { missing, modelIndex, components, name, notes } = checkpoint;
  const networks = missing.filter((part) => {
    const [, className] = [modelIndex[part]].flat();
    return typeof className === 'string' && part !== 'safety_checker' && !isWeightless(className);
  });
  const isFile = [...components.values()].some(({ adapted, id }) => adapted && id === undefined);
  if (networks.length === 0 || isFile) return checkpoint;
  const message = `${name} has no ${networks.join(' and no ')}: the rest is converted.`;
  return { ...checkpoint, notes: [...notes, message] };
}

/** Name of a model: its id on the Hub, or its own name on the disk. */
function titleOf(name: string, path: string, own: string): string {
  return name === path ? own : name;
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
