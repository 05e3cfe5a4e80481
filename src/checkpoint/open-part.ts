import { basename, join, resolve } from 'node:path';
import { listFolder, pathKind } from '../io/disk.ts';
import { readJsonObject } from '../io/json/python-json.ts';
import { openWeightFile } from '../weights/weight-file.ts';
import { type Checkpoint, natureOf } from './checkpoint.ts';
import { completeControlNet } from './complete-controlnet.ts';
import { hasWeights, type Variant } from './component-weights.ts';
import { componentClasses, openComponent } from './open-component.ts';
import { recognizeWeights } from './recognize/weight-file-kind.ts';

/** A component that has a folder or a file of its own. */
export type PartName = keyof typeof componentClasses;

const CONFIG = 'config.json';
const partNames = Object.keys(componentClasses) as PartName[];

/**
 * The component that a folder with weights is, by the class in its config.json (which an ONNX model has, too), or a weight file, by its tensors; `undefined` where it is
 * something else. Throws as `openWeightFile` does, and `FileFormatError` for a config.json that cannot be read.
 */
export async function partAt(path: string): Promise<PartName | undefined> {
  if ((await pathKind(path)) !== 'folder') {
    const file = await openWeightFile(path);
    await file.close();
    const known = recognizeWeights(file.weights, path)?.kind;
    return partNames.find((name) => name === known);
  }
  const names = await listFolder(path);
  if (!names.includes(CONFIG) || !hasWeights(names)) return undefined;
  const { _class_name: found } = await readJsonObject(join(path, CONFIG));
  return partNames.find((name) => componentClasses[name].some((each) => each === found));
}

/**
 * Opens a component's own folder or file as a checkpoint that has nothing else. Throws `RequestError` for a ControlNet that is
 * stored as changes to its base's UNet, and as `openComponent` does.
 */
export async function openPart(path: string, as: PartName, variant?: Variant): Promise<Checkpoint> {
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
