import { basename, join, resolve } from 'node:path';
import { listFolder, pathKind } from '../io/disk.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { openWeightFile } from '../weights/weight-file.ts';
import { type Checkpoint, natureOf } from './checkpoint.ts';
import { completeControlNet } from './complete-controlnet.ts';
import { hasWeights, type Variant } from './component-weights.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { componentClasses, openComponent } from './open-component.ts';
import { recognizeWeights } from './recognize/weight-file-kind.ts';

/** A whole checkpoint, or a component that has a folder or a file of its own. */
export type Part = 'checkpoint' | keyof typeof componentClasses;

const componentNames = Object.keys(componentClasses) as (keyof typeof componentClasses)[];

/**
 * What of a checkpoint a folder with weights is, by model_index.json and config.json (which a conversion without weights has, too), or a
 * weight file, by its tensors; `undefined` where it is something else. Throws as `openWeightFile` does, and `FileFormatError` for a
 * config.json that cannot be read.
 */
export async function partAt(path: string): Promise<Part | undefined> {
  if ((await pathKind(path)) === 'folder') return partInFolder(path);
  const file = await openWeightFile(path);
  await file.close();
  const known = recognizeWeights(file.weights, path)?.kind;
  return known === 'checkpoint' ? known : componentNames.find((name) => name === known);
}

async function partInFolder(path: string): Promise<Part | undefined> {
  const names = await listFolder(path);
  if (names.includes('model_index.json'))
    for (const name of names) {
      const folder = join(path, name);
      if ((await pathKind(folder)) === 'folder' && hasWeights(await listFolder(folder))) return 'checkpoint';
    }
  if (!names.includes('config.json') || !hasWeights(names)) return undefined;
  const { _class_name: found } = await readJsonObject(join(path, 'config.json'));
  return componentNames.find((name) => componentClasses[name].some((each) => each === found));
}

/**
 * Opens a checkpoint, or a component's own folder or file as one that has nothing else. Throws `RequestError` for a ControlNet that is
 * stored as changes to its base's UNet, and as `openCheckpoint` and `openComponent` do.
 */
export async function openPart(path: string, as: Part, variant?: Variant): Promise<Checkpoint> {
  if (as === 'checkpoint') return openCheckpoint(path, { variant });
  const opened = await openComponent(path, { as, variant });
  try {
    const components = new Map([[as, as === 'controlnet' ? completeControlNet(opened, undefined) : opened]]);
    return {
      name: basename(resolve(path)),
      path,
      modelIndex: {},
      components,
      folders: new Map(),
      missing: [],
      ...natureOf(components),
      notes: opened.notes,
      close: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}
