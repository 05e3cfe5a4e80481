import { join } from 'node:path';
import { z } from 'zod';
import type { Component } from '../checkpoint/checkpoint.ts';
import { LARGEST_TOKEN_ID } from '../checkpoint/tokenizer-parts.ts';
import { latentFactor, latentSide } from '../convert/config/number-ranges.ts';
import { parseConfig } from '../convert/config/parse-config.ts';
import { cardOf, networkKinds } from '../convert/networks/networks.ts';
import type { ModelSettings } from '../convert/networks/realistic.ts';
import { nameOf } from '../formats/artifact-id.ts';
import { exists } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';

interface Place {
  readonly setting: keyof ModelSettings;
  readonly folder: string;
  readonly key: string | ((config: JsonObject) => unknown);
}

/** Places of the settings: each is taken from the first config.json that gives it. */
const places: readonly Place[] = networkKinds.flatMap((kind) => {
  const card = cardOf(kind);
  return Object.entries(card.settings).flatMap(([setting, key]) =>
    [card.component, nameOf({ network: kind }), nameOf({ network: kind, chunk: { index: 1 } })].map(
      // as: Object.entries gives strings; the settings have exactly these keys.
      (folder) => ({ setting: setting as keyof ModelSettings, folder, key }),
    ),
  );
});

const from = (least: number, most: number) => {
  const error = `a number from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
};

/** Sizes of arrays, and the largest of their numbers, are made of these: no model has others. */
const ranges: { readonly [K in keyof ModelSettings]-?: z.ZodNumber } = {
  sampleSize: latentSide,
  textChannels: from(1, 2 ** 16),
  scalingFactor: latentFactor,
  vocabularySize: from(3, LARGEST_TOKEN_ID + 1), // each prompt is begun and ended
  padding: from(0, LARGEST_TOKEN_ID),
};

/** A config, and the file that it is from. */
type Config = Pick<Component, 'config' | 'configFile'>;

/**
 * Reads the settings in the configs of a checkpoint or an ONNX folder. Throws `FileFormatError` for a config that is not JSON, and
 * `ConfigError` for numbers that no model has.
 */
export async function readModelSettings(root: string): Promise<ModelSettings> {
  const folders = new Set(places.map(({ folder }) => folder));
  const configs = new Map<string, Config>();
  for (const folder of folders) {
    const configFile = join(root, folder, 'config.json');
    if (await exists(configFile))
      configs.set(folder, { config: await readJsonObject(configFile), configFile });
  }
  return modelSettings(configs);
}

/** Reads the settings out of configs, by their folders. Throws `ConfigError` for numbers that no model has. */
export function modelSettings(configs: ReadonlyMap<string, Config>): ModelSettings {
  const found = new Map<string, number>();
  for (const { setting, folder, key } of places) {
    const { config = {}, configFile = '' } = configs.get(folder) ?? {};
    const value = typeof key === 'string' ? config[key] : key(config);
    if (typeof value !== 'number' || found.has(setting)) continue;
    const name = typeof key === 'string' ? key : setting;
    const stated = { name: folder, config: { [name]: value }, configFile };
    parseConfig(z.object({ [name]: ranges[setting] }), stated);
    found.set(setting, value);
  }
  return Object.fromEntries(found);
}
