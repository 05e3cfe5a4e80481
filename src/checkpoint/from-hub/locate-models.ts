import type { Context } from '../../context.ts';
import { RequestError } from '../../errors.ts';
import { isHubId, isOutput } from '../../hub/hub-id.ts';
import { ownHubOptions } from '../../hub/hub-options.ts';
import type { ModelSources } from '../model-sources.ts';
import { type ResolvedModel, type Resolving, resolveModel } from './resolve-model.ts';

/** Where a model of a conversion lies. */
export interface LocatedModel {
  readonly path: string;
  /** What it is on the Hub, where it comes from there. */
  readonly hub?: ResolvedModel | undefined;
}

/** The models of a conversion, by their names in `ModelSources`. */
export type LocatedModels = ReadonlyMap<string, LocatedModel>;

/** A model that a request names, and what of a repository it would be. */
interface NamedModel extends Pick<Resolving, 'purpose' | 'component' | 'isNeeded' | 'revision'> {
  readonly name: string;
}

/** How models are located. */
export interface Locating extends Pick<Resolving, 'isNeeded'> {
  /** Whether they are only made readable: of weights, nothing comes but what is read. */
  readonly show?: boolean;
}

/** Lists the models that must be downloaded from the Hub. */
export async function modelsOnHub(sources: ModelSources): Promise<string[]> {
  return (await onHub(sources)).map(({ name }) => name);
}

/**
 * Downloads the models that come from the Hub: of the checkpoint the networks that are needed, of a refiner its UNet. Throws
 * `RequestError`, and as `resolveModel` does.
 */
export async function locateModels(
  sources: ModelSources,
  { show = false, isNeeded }: Locating,
  context: Context,
): Promise<LocatedModels> {
  const { variant, modelVersion } = sources;
  for (const { name } of modelsIn(sources))
    if ((await isOutput(name)) && !(await isHubId(name))) throw outputInstead(name);
  if (sources.hub?.revision !== undefined && !(await isHubId(modelVersion)))
    throw revisionOnDisk(modelVersion, sources.hub.revision);
  const located = new Map<string, LocatedModel>();
  try {
    // The checkpoint last: what the others bring of its repository is there then, and need not be shown.
    for (const { name, ...how } of (await onHub(sources, isNeeded)).reverse()) {
      const options = { ...(sources.hub ?? (await ownHubOptions())), variant, ...how, show };
      const hub = await resolveModel(name, options, context);
      located.set(name, { path: hub.path, hub });
    }
  } catch (error) {
    await closeLocated(located);
    throw error;
  }
  return new Map([...located].reverse());
}

/** Ends what showing models began. */
export async function closeLocated(located: LocatedModels): Promise<void> {
  for (const { hub } of located.values()) await hub?.close();
}

async function onHub(sources: ModelSources, isNeeded?: NamedModel['isNeeded']): Promise<NamedModel[]> {
  const found: NamedModel[] = [];
  for (const model of modelsIn(sources, isNeeded)) if (await isHubId(model.name)) found.push(model);
  return found;
}

/** The models that are named; one that is named twice is one. */
function modelsIn(sources: ModelSources, isNeeded?: NamedModel['isNeeded']): NamedModel[] {
  const { modelVersion, refinerVersion, customVaeVersion, controlnets = [], loras = [], hub } = sources;
  const models = [
    { name: modelVersion, revision: hub?.revision, isNeeded },
    { name: refinerVersion, isNeeded: (component: string) => component === 'unet' },
    { name: customVaeVersion, component: 'vae' },
    ...controlnets.map((name) => ({ name, component: 'controlnet' })),
    // A name without a slash is a file's.
    ...loras.flatMap(({ path }) => (path.includes('/') ? [{ name: path, purpose: 'lora' as const }] : [])),
  ];
  const named = models.flatMap(({ name, ...how }) =>
    name === undefined ? [] : [{ revision: undefined, ...how, name }],
  );
  return [...new Map(named.reverse().map((model) => [model.name, model])).values()].reverse();
}

/** The error for a revision of what is no repository. */
export function revisionOnDisk(path: string, revision: string): RequestError {
  return new RequestError({
    problem: `--revision ${revision} names a version on the Hub, and ${path} is on this disk.`,
    advice: 'Leave out --revision, or name a model on the Hub.',
  });
}

function outputInstead(path: string): RequestError {
  return new RequestError({
    problem: `${path} is the output of a conversion, not a checkpoint: it holds sdconvert.json.`,
    advice: 'Name the checkpoint that it was made from. sdconvert inspect lists what the folder holds.',
  });
}
