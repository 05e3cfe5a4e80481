import { basename, extname, resolve } from 'node:path';
import type { Context } from '../context.ts';
import type { Checkpoint, HubSource } from './checkpoint.ts';
import type { OpenComponent } from './component.ts';
import { composeCheckpoint } from './compose-checkpoint.ts';
import type { LocatedModels } from './from-hub/locate-models.ts';
import { withLora } from './lora/merge-lora.ts';
import type { ModelSources } from './model-sources.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { openComponent } from './open-component.ts';
import { isWeightless } from './recognize/pipelines.ts';

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
  const pathOf = (name: string): string => located.get(name)?.path ?? name;
  // On the Hub a model is called as it is there, whatever address it was given by.
  const titleOf = (name: string, own: string): string =>
    located.get(name)?.hub?.id.replace(/\.(safetensors|ckpt|pt|pth|bin|gguf)$/i, '') ?? own;
  try {
    const plain = closeable(await openCheckpoint(pathOf(modelVersion), { ...options, predictionType }));
    const checkpoint = { ...plain, name: titleOf(modelVersion, plain.name) };
    const component = async (name: string, as: 'vae' | 'controlnet'): Promise<OpenComponent> => {
      const path = pathOf(name);
      const opened = closeable(await openComponent(path, { as, ...options, family: checkpoint.family }));
      const ending = opened.adapted ? extname(path) : ''; // a single file's
      return { ...opened, id: titleOf(name, basename(resolve(path), ending)) };
    };
    const refiner = refinerVersion && closeable(await openCheckpoint(pathOf(refinerVersion), options));
    const composed = composeCheckpoint(checkpoint, {
      refiner: refiner ? { ...refiner, name: titleOf(refinerVersion, refiner.name) } : undefined,
      vae: customVaeVersion === undefined ? undefined : await component(customVaeVersion, 'vae'),
      controlnets: await inTurn(distinct(controlnets, pathOf), (name) => component(name, 'controlnet')),
    });
    const merged = loras.map(({ path, scale }) => {
      return { path: pathOf(path), scale, name: located.get(path)?.hub?.id ?? basename(path) };
    });
    const whole = { ...withMissingNoted(composed), hub: hubSources(located) };
    return await withLora(whole, merged, context, { strict });
  } catch (error) {
    await Promise.all(open.map((each) => each.close()));
    throw error;
  }
}

function hubSources(located: LocatedModels): HubSource[] {
  return [...located.values()].flatMap(({ hub }) =>
    hub ? [{ repo: hub.repo, commit: hub.commit, files: hub.files }] : [],
  );
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

async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await work(item));
  return results;
}
