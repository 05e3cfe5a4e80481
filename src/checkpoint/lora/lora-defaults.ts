import { basename, dirname, join } from 'node:path';
import { ConfigError, NotFoundError } from '../../errors.ts';
import { exists, listFolder, pathKind } from '../../io/disk.ts';
import { parsePythonJson, readJsonObject } from '../../io/json/python-json.ts';
import { snapshotOf } from '../cache-folder.ts';
import { type PeftSettings, parsePeftSettings } from './peft-settings.ts';

/** Settings for modules without an alpha of their own. */
export interface LoraDefaults {
  /** The change is multiplied by alpha / rank. */
  readonly alpha?: number;
  /** Whether alpha is divided by the square root of the rank instead (rsLoRA, https://arxiv.org/abs/2312.03732). */
  readonly rankStabilized?: boolean;
}

/** Settings of a LoRA in its metadata, or in a file beside it. */
export interface LoraSettings {
  readonly defaultsOf: (module: string) => LoraDefaults;
  /** Rank that a module's matrices must have; `undefined` if the settings have none. */
  readonly rankOf: (module: string) => number | undefined;
  /** The file with these settings, for errors. */
  readonly file: string;
}

/** The file of PEFT's settings. */
export const LORA_SETTINGS = 'adapter_config.json';

/** The weights that a LoRA's folder holds, the preferred first. */
export const loraFileNames: readonly string[] = [
  'adapter_model.safetensors',
  'pytorch_lora_weights.safetensors',
  'adapter_model.bin',
  'pytorch_lora_weights.bin',
];

/**
 * Finds the weight file of a LoRA, given as a file or a folder. Throws `NotFoundError` for a folder without one, or
 * with several.
 */
export async function loraFile(given: string): Promise<string> {
  const path = await snapshotOf(given);
  if ((await pathKind(path)) !== 'folder') return path;
  const names = await listFolder(path);
  const known = loraFileNames.find((name) => names.includes(name));
  const others = names.filter((name) => /\.(safetensors|pt|bin)$/.test(name));
  const [file = others[0], ...more] = known ? [known] : others;
  if (file !== undefined && more.length === 0) return join(path, file);
  throw new NotFoundError({
    problem: `${path} is not the folder of one LoRA${file === undefined ? ': it holds no weights' : ''}.`,
    details: {
      expected: loraFileNames.slice(0, 2).join(' or '),
      found: names.slice(0, 12).join(', ') || 'nothing',
    },
    advice: 'Give the file of the LoRA.',
  });
}

/**
 * Reads a LoRA's settings from its metadata, where diffusers writes PEFT's settings, or from PEFT's
 * `adapter_config.json` beside it. Throws `FileFormatError` for settings that are not JSON, and `ConfigError` for one of a
 * wrong type.
 */
export async function loraSettings(
  path: string,
  metadata: Readonly<Record<string, string>>,
): Promise<LoraSettings> {
  const text = metadata.lora_adapter_metadata;
  if (text !== undefined) return inMetadata(path, text);
  const file = join(dirname(path), LORA_SETTINGS);
  const isPefts = /^(adapter_model|pytorch_lora_weights)\./.test(basename(path));
  if (isPefts && (await exists(file))) {
    // Of diffusers' own file PEFT's settings are not read by diffusers: without an alpha there, its scale is 1.
    const usual = basename(path).startsWith('adapter_model.') ? USUAL_ALPHA : undefined;
    return inConfig(parsePeftSettings(await readJsonObject(file), file), file, usual);
  }
  return { defaultsOf: () => ({}), rankOf: () => undefined, file: path };
}

/** PEFT's alpha where its settings have none: of LoRA, LoHa and LoKr. */
const USUAL_ALPHA = 8;

/** Reads settings from the metadata; each key has its network as a prefix: `unet.lora_alpha`. */
function inMetadata(path: string, text: string): LoraSettings {
  const place = `the lora_adapter_metadata of ${path}`;
  const all = parsePeftSettings(parsePythonJson(text, place), place);
  const settings = new Map<string, (module: string) => LoraDefaults>();
  for (const [network, entries] of Map.groupBy(Object.entries(all), ([key]) => key.split('.', 1)[0] ?? '')) {
    const own = entries.map(([key, value]) => [key.slice(network.length + 1), value]);
    settings.set(network, defaultsIn(parsePeftSettings(Object.fromEntries(own), place), USUAL_ALPHA));
  }
  const defaultsOf = (module: string): LoraDefaults => {
    const [network = '', ...rest] = module.split('.');
    return settings.get(network)?.(rest.join('.')) ?? { rankStabilized: false };
  };
  return { defaultsOf, rankOf: () => undefined, file: path };
}

function inConfig(config: PeftSettings, file: string, usualAlpha: number | undefined): LoraSettings {
  const inner = (module: string) => module.replace(/^base_model\.model\./, '');
  const rankOf = patternsFor(config.rank_pattern);
  const defaultsOf = defaultsIn(config, usualAlpha);
  return {
    file,
    defaultsOf: (module) => defaultsOf(inner(module)),
    rankOf: (module) => rankOf(inner(module)) ?? config.r ?? undefined,
  };
}

function defaultsIn(
  settings: PeftSettings,
  usualAlpha: number | undefined,
): (module: string) => LoraDefaults {
  const alphaOf = patternsFor(settings.alpha_pattern);
  const { lora_alpha, alpha: other } = settings;
  // What a trainer wrote as null is that of the rank, as of any LoRA without alpha.
  const general = lora_alpha === undefined && other === undefined ? usualAlpha : (lora_alpha ?? other);
  return (module) => {
    const alpha = alphaOf(module) ?? general;
    return { ...(typeof alpha === 'number' && { alpha }), rankStabilized: settings.use_rslora === true };
  };
}

/**
 * Gives the value of the first pattern for a module. As in PEFT, a pattern matches the end of a name, at a dot; with a `^` before it, as
 * diffusers writes it, the whole name.
 */
function patternsFor(patterns: PeftSettings['alpha_pattern']): (module: string) => number | undefined {
  const order = new Map(Object.entries(patterns ?? {}).map(([end, value], at) => [end, { at, value }]));
  return (module) => {
    const [plain, whole] = [order.get(module), order.get(`^${module}`)];
    let first = plain && whole && whole.at < plain.at ? whole : (plain ?? whole);
    for (let dot = module.indexOf('.'); order.size > 0 && dot >= 0; dot = module.indexOf('.', dot + 1)) {
      const found = order.get(module.slice(dot + 1));
      if (found && (!first || found.at < first.at)) first = found;
    }
    return first?.value;
  };
}

/** Error for settings of another LoRA, which would merge this one with a wrong strength. */
export function otherLorasSettings(
  { file }: LoraSettings,
  path: string,
  module: string,
  { expected, found }: { readonly expected: number; readonly found: number },
): ConfigError {
  return new ConfigError({
    problem: `${file} belongs to another LoRA than ${basename(path)}.`,
    details: { module, expected: `matrices of rank ${expected}, as in the settings`, found: `rank ${found}` },
    advice: 'Take both files from the same source, or remove this one to merge the LoRA without settings.',
  });
}
