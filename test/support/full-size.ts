import { readFileSync } from 'node:fs';
import type { Checkpoint, Component } from '../../src/weights/checkpoint.ts';
import type { Weight } from '../../src/weights/weight.ts';

/**
 * A published model as its configs and tensor lists (`test/fixtures/full-size`): everything is there but the numbers,
 * and a weight that is read throws.
 */
export function fullSizeCheckpoint(name: 'sd15' | 'sd21-base' | 'sd21'): Checkpoint {
  const path = new URL(`../fixtures/full-size/${name}.json`, import.meta.url);
  // as: the fixture is ours; test/python/make_full_size_lists.py writes it so.
  const lists = JSON.parse(readFileSync(path, 'utf8')) as Record<string, Pick<Component, 'config'> & Lists>;
  const components = Object.entries(lists).map(([component, { config, weights }]): [string, Component] => [
    component,
    {
      name: component,
      className: '',
      config,
      configFile: `${component}/config.json`,
      weights: new Map(Object.entries(weights).map(([weight, shape]) => [weight, unread(weight, shape)])),
      files: [],
    },
  ]);
  return {
    name,
    path: name,
    modelIndex: {},
    components: new Map(components),
    folders: new Map(),
    missing: [],
    async close() {},
  };
}

interface Lists {
  readonly weights: Readonly<Record<string, readonly number[]>>;
}

function unread(name: string, shape: readonly number[]): Weight {
  return {
    name,
    dtype: 'f16',
    shape,
    file: 'a published model',
    stream() {
      throw new Error(`${name} was read`);
    },
  };
}
