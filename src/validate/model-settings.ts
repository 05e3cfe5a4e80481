import { join } from 'node:path';
import { cardOf, networkKinds } from '../convert/networks/networks.ts';
import type { ModelSettings } from '../convert/networks/realistic.ts';
import { nameOf } from '../formats/artifact-id.ts';
import { exists } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';

interface Place {
  readonly setting: string;
  readonly folder: string;
  readonly key: string | ((config: JsonObject) => unknown);
}

/** Places of the settings: each is taken from the first config.json that gives it. */
const places: readonly Place[] = networkKinds.flatMap((kind) => {
  const card = cardOf(kind);
  return Object.entries(card.settings).flatMap(([setting, key]) =>
    [card.component, nameOf({ network: kind }), nameOf({ network: kind, chunk: { index: 1 } })].map(
      (folder) => ({ setting, folder, key }),
    ),
  );
});

/**
 * Reads the settings in the configs of a checkpoint or an ONNX folder. Throws `FileFormatError` for a config that is not JSON.
 */
export async function readModelSettings(root: string): Promise<ModelSettings> {
  const folders = new Set(places.map(({ folder }) => folder));
  const configs = new Map<string, JsonObject>();
  for (const folder of folders) {
    const file = join(root, folder, 'config.json');
    if (await exists(file)) configs.set(folder, await readJsonObject(file));
  }
  return modelSettings(configs);
}

/** Reads the settings out of configs, by their folders. */
export function modelSettings(configs: ReadonlyMap<string, JsonObject>): ModelSettings {
  const found = new Map<string, number>();
  for (const { setting, folder, key } of places) {
    const config = configs.get(folder) ?? {};
    const value = typeof key === 'string' ? config[key] : key(config);
    if (typeof value === 'number' && !found.has(setting)) found.set(setting, value);
  }
  return Object.fromEntries(found);
}
