import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Checkpoint, type Component, natureOf } from '../src/checkpoint/checkpoint.ts';
import type { Weight } from '../src/weights/weight.ts';

/** A network at its real size: its configuration and the shape of every tensor, without numbers. */
export interface FullSizeComponent {
  readonly config: Component['config'];
  readonly weights: Readonly<Record<string, readonly number[]>>;
}

/** The models whose lists test/python/make_full_size_lists.py wrote. */
export const fullSizeModels = ['sd15', 'sd21', 'sd21-base', 'sdxl'] as const;

export type FullSizeModel = (typeof fullSizeModels)[number];

/** The components of a model by folder name: `text_encoder`, `unet`, `vae`. */
export function fullSizeComponents(model: FullSizeModel): Readonly<Record<string, FullSizeComponent>> {
  return JSON.parse(readFileSync(listOf(model), 'utf8'));
}

/** The model as a checkpoint that graphs can be built from. Reading a weight of it throws. */
export function fullSizeCheckpoint(model: FullSizeModel): Checkpoint {
  const path = listOf(model);
  const components = Object.entries(fullSizeComponents(model)).map(
    ([name, { config, weights }]): [string, Component] => [
      name,
      {
        name,
        className: String(config._class_name ?? 'CLIPTextModel'),
        config,
        configFile: path,
        weights: new Map(
          Object.entries(weights).map(([weight, shape]) => [weight, unreadable(weight, shape, path)]),
        ),
        files: [path],
      },
    ],
  );
  return {
    name: model,
    path,
    modelIndex: {},
    components: new Map(components),
    folders: new Map(),
    missing: [],
    ...natureOf(new Map(components)),
    notes: [],
    close: async () => {},
  };
}

function unreadable(name: string, shape: readonly number[], file: string): Weight {
  return {
    name,
    dtype: 'f32',
    shape,
    file,
    stream() {
      throw new Error(`${name} has no numbers: ${file} lists shapes only`);
    },
  };
}

function listOf(model: FullSizeModel): string {
  return fileURLToPath(new URL(`../test/fixtures/full-size/${model}.json`, import.meta.url));
}
