import { basename, dirname, join } from 'node:path';
import { ConfigError, NotFoundError } from '../../errors.ts';
import { exists, listFolder, pathKind } from '../../io/disk.ts';
import { isJsonObject, type JsonObject, parsePythonJson, readJsonObject } from '../../io/python-json.ts';
import { snapshotOf } from '../cache-folder.ts';

/** What holds for modules that have no alpha of their own. */
export interface LoraDefaults {
  /** What the change is multiplied by, times the rank. */
  readonly alpha?: number;
  /** Whether alpha is divided by the root of the rank (rsLoRA, https://arxiv.org/abs/2312.03732). */
  readonly rankStabilized?: boolean;
}

/** The settings of a LoRA that stand outside its tensors. */
export interface LoraSettings {
  readonly defaultsOf: (module: string) => LoraDefaults;
  /** The rank that a module's matrices must have; `undefined` where nothing says it. */
  readonly rankOf: (module: string) => number | undefined;
  /** The file that says so, for errors. */
  readonly file: string;
}

const CONFIG = 'adapter_config.json';

/** The weights that a LoRA's folder holds, the preferred first. */
const fileNames = [
  'adapter_model.safetensors',
  'pytorch_lora_weights.safetensors',
  'adapter_model.bin',
  'pytorch_lora_weights.bin',
];

/** The weight file of a LoRA given as a file or a folder. Throws `NotFoundError` for a folder without one, or with several. */
export async function loraFile(given: string): Promise<string> {
  const path = await snapshotOf(given);
  if ((await pathKind(path)) !== 'folder') return path;
  const names = await listFolder(path);
  const known = fileNames.find((name) => names.includes(name));
  const others = names.filter((name) => /\.(safetensors|pt|bin)$/.test(name));
  const [file = others[0], ...more] = known ? [known] : others;
  if (file !== undefined && more.length === 0) return join(path, file);
  throw new NotFoundError({
    problem: `${path} is not the folder of one LoRA${file === undefined ? ': it holds no weights' : ''}.`,
    details: {
      expected: fileNames.slice(0, 2).join(' or '),
      found: names.slice(0, 12).join(', ') || 'nothing',
    },
    advice: 'Give the file of the LoRA.',
  });
}

/**
 * What a LoRA's metadata says (diffusers writes PEFT's settings into it), or PEFT's own `adapter_config.json` beside
 * `adapter_model.safetensors`. Throws `FileFormatError` for settings that are not JSON.
 */
export async function loraSettings(
  path: string,
  metadata: Readonly<Record<string, string>>,
): Promise<LoraSettings> {
  const text = metadata.lora_adapter_metadata;
  if (text !== undefined) return inMetadata(path, text);
  const file = join(dirname(path), CONFIG);
  const isPefts = /^(adapter_model|pytorch_lora_weights)\./.test(basename(path));
  if (isPefts && (await exists(file))) return inConfig(await readJsonObject(file), file);
  return { defaultsOf: () => ({}), rankOf: () => undefined, file: path };
}

/** Each key stands after its network: `unet.lora_alpha`. */
function inMetadata(path: string, text: string): LoraSettings {
  const all = parsePythonJson(text, `the lora_adapter_metadata of ${path}`);
  const settings: JsonObject = isJsonObject(all) ? all : {};
  const defaultsOf = (module: string): LoraDefaults => {
    const [network = '', ...rest] = module.split('.');
    const own = Object.fromEntries(
      ['lora_alpha', 'alpha_pattern', 'use_rslora'].map((key) => [key, settings[`${network}.${key}`]]),
    );
    return defaultsIn(own, rest.join('.'));
  };
  return { defaultsOf, rankOf: () => undefined, file: path };
}

function inConfig(config: JsonObject, file: string): LoraSettings {
  const inner = (module: string) => module.replace(/^base_model\.model\./, '');
  return {
    file,
    defaultsOf: (module) => defaultsIn(config, inner(module)),
    rankOf(module) {
      const rank = patternFor(inner(module), config.rank_pattern) ?? config.r;
      return typeof rank === 'number' ? rank : undefined;
    },
  };
}

function defaultsIn(settings: JsonObject, module: string): LoraDefaults {
  const alpha = patternFor(module, settings.alpha_pattern) ?? settings.lora_alpha;
  return { ...(typeof alpha === 'number' && { alpha }), rankStabilized: settings.use_rslora === true };
}

/** PEFT compares the ends of names, at dots. */
function patternFor(module: string, patterns: unknown): unknown {
  if (!isJsonObject(patterns)) return undefined;
  return Object.entries(patterns).find(([end]) => module === end || module.endsWith(`.${end}`))?.[1];
}

/** Settings of another LoRA would merge this one at a wrong strength. */
export function otherLorasSettings(
  { file }: LoraSettings,
  path: string,
  module: string,
  { expected, found }: { readonly expected: number; readonly found: number },
): ConfigError {
  return new ConfigError({
    problem: `${file} is of another LoRA than ${basename(path)}.`,
    details: { module, expected: `matrices of rank ${expected}, as it says`, found: `rank ${found}` },
    advice: 'Take both files from the same place, or remove this one to merge the LoRA as it is.',
  });
}
