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

/** Everything that a conversion is made of. Each name is a path, or an id on the Hub where there is no such path. */
export interface ModelSources {
  /** The checkpoint: a diffusers folder, a single file, or `org/name` on the Hub. */
  readonly modelVersion: string;
  /** The checkpoint whose UNet refines what the first one draws. */
  readonly refinerVersion?: string | undefined;
  /** A VAE in the place of the checkpoint's. */
  readonly customVaeVersion?: string | undefined;
  readonly controlnets?: readonly string[] | undefined;
  /** Merged in this order. */
  readonly loras?: readonly LoraChoice[] | undefined;
  /** Which of several weight files to take. */
  readonly variant?: Variant | undefined;
  /** What the UNet predicts, where the checkpoint does not say it or says it wrongly. */
  readonly predictionType?: PredictionType | undefined;
  /** Whether what lies around the networks (tensors of none, parts of LoRAs that do not fit) is refused instead of left aside. */
  readonly strict?: boolean | undefined;
  /** Where the Hub is and where its files are kept; the revision is the checkpoint's. Its public address and usual cache when left out. */
  readonly hub?: HubOptions | undefined;
}

/** The same with every name as a path on this disk, by what it was asked for. */
export type LocatedModels = ReadonlyMap<string, string>;

/** The names of a conversion's models that have to come from the Hub. */
export async function modelsOnHub(sources: ModelSources): Promise<string[]> {
  const onHub: string[] = [];
  for (const name of namesIn(sources)) if (await isHubId(name)) onHub.push(name);
  return onHub;
}

/** Brings what comes from the Hub onto this disk. Throws as `resolveModel` does. */
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
 * Opens the checkpoint with all that goes into it: refiner, VAE and ControlNets as components of it, LoRAs merged into its
 * weights. Throws as `openCheckpoint`, `openComponent`, `composeCheckpoint` and `withLora` do.
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
  const kept = <T extends { close(): Promise<void> }>(opened: T): T => {
    open.push(opened);
    return opened;
  };
  const pathOf = (name: string): string => located.get(name) ?? name;
  try {
    const plain = kept(await openCheckpoint(pathOf(modelVersion), { ...options, predictionType }));
    const checkpoint = { ...plain, name: titleOf(modelVersion, plain.path, plain.name) };
    const component = async (name: string, as: 'vae' | 'controlnet'): Promise<OpenComponent> => {
      const path = pathOf(name);
      const opened = kept(await openComponent(path, { as, ...options, family: checkpoint.family }));
      const ending = opened.adapted ? extname(path) : ''; // a single file's
      return { ...opened, id: titleOf(name, path, basename(resolve(path), ending)) };
    };
    const refiner = refinerVersion && kept(await openCheckpoint(pathOf(refinerVersion), options));
    const composed = composeCheckpoint(checkpoint, {
      refiner: refiner
        ? { ...refiner, name: titleOf(refinerVersion, refiner.path, refiner.name) }
        : undefined,
      vae: customVaeVersion === undefined ? undefined : await component(customVaeVersion, 'vae'),
      controlnets: await inTurn(once(controlnets, pathOf), (name) => component(name, 'controlnet')),
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
    problem: `${path} is what a conversion wrote, not a checkpoint: it holds sdconvert.json.`,
    advice: 'Name the checkpoint that it was made from, or see what it holds: sdconvert inspect.',
  });
}

/** The same place named twice, as scripts do, is one model. */
function once(names: readonly string[], pathOf: (name: string) => string): string[] {
  return [...new Map(names.map((name) => [resolve(pathOf(name)), name])).values()];
}

/** A folder may lack a network that it names, where a single file says so itself; pictures need no safety checker. */
function withMissingNoted(checkpoint: Checkpoint): Checkpoint {
  const { missing, modelIndex, components, name, notes } = checkpoint;
  const networks = missing.filter((part) => {
    const [, className] = [modelIndex[part]].flat();
    return typeof className === 'string' && part !== 'safety_checker' && !isWeightless(className);
  });
  const isFile = [...components.values()].some(({ adapted, id }) => adapted && id === undefined);
  if (networks.length === 0 || isFile) return checkpoint;
  const message = `${name} has no ${networks.join(' and no ')}: what it has is converted.`;
  return { ...checkpoint, notes: [...notes, message] };
}

/** What a model is called: its id on the Hub, or on this disk its own name. */
function titleOf(name: string, path: string, own: string): string {
  return name === path ? own : name;
}

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
