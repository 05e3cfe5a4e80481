import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Weight } from '../../weights/weight.ts';
import { openWeightFile } from '../../weights/weight-file.ts';
import { recognizeWeights } from '../recognize/weight-file-kind.ts';
import {
  type LoraDefaults,
  type LoraSettings,
  loraFile,
  loraSettings,
  otherLorasSettings,
} from './lora-defaults.ts';
import { type LoraKey, otherAdapters, type Part, parseLoraKey } from './lora-key.ts';

/** The tensors that change one module. */
export interface LoraModule extends Omit<LoraKey, 'part'> {
  readonly parts: ReadonlyMap<Part, Weight>;
  /** Settings from the metadata or a config beside the file, for modules without an alpha of their own. */
  readonly defaults: LoraDefaults;
}

/** An open LoRA file: its names are parsed, its numbers not read. */
export interface Lora extends Pick<WeightFile, 'path' | 'size' | 'metadata' | 'close'> {
  /** Modules in file order. */
  readonly modules: readonly LoraModule[];
  /** Names of tensors that do not belong to a LoRA. */
  readonly unknown: readonly string[];
}

/**
 * Opens a LoRA, given as a file or a folder: safetensors or a PyTorch file with the names of diffusers, PEFT, kohya's
 * scripts or LyCORIS; LoRA, LoHa or LoKr, with DoRA or without. Only names and shapes are read. Throws `NotFoundError`,
 * `FileFormatError` when a tensor is in it twice, `UnsupportedModelError` for a file that is not a LoRA or of an
 * unsupported kind, and `ConfigError` for settings of another LoRA beside it.
 */
export async function openLora(given: string): Promise<Lora> {
  const path = await loraFile(given);
  const { weights, ...file } = await openWeightFile(path);
  try {
    const settings = await loraSettings(path, file.metadata);
    const lora = { ...file, ...sortTensors(path, weights, settings.defaultsOf) };
    checkRanks(lora, settings);
    return lora;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Checks that settings beside a LoRA belong to it: their ranks must be the LoRA's. */
function checkRanks({ path, modules }: Pick<Lora, 'path' | 'modules'>, settings: LoraSettings): void {
  for (const { module, parts } of modules) {
    const [expected, found] = [settings.rankOf(module), parts.get('down')?.shape[0]];
    if (expected !== undefined && found !== undefined && expected !== found)
      throw otherLorasSettings(settings, path, module, { expected, found });
  }
}

function sortTensors(
  path: string,
  weights: ReadonlyMap<string, Weight>,
  defaultsOf: (module: string) => LoraDefaults,
): Pick<Lora, 'modules' | 'unknown'> {
  const modules = new Map<string, LoraKey & { readonly parts: Map<Part, Weight> }>();
  const unknown: string[] = [];
  for (const [name, weight] of weights) {
    const key = parseLoraKey(name);
    if (!key) {
      unknown.push(name);
      continue;
    }
    const id = `${key.networks} ${key.name}`;
    const module = modules.get(id) ?? { ...key, parts: new Map<Part, Weight>() };
    modules.set(id, module);
    const other = module.parts.get(key.part);
    if (other) throw twice(path, name, other.name);
    module.parts.set(key.part, weight);
  }
  checkKind(path, weights, unknown, modules.size);
  return {
    modules: [...modules.values()].map(({ module, networks, name, parts }) => {
      return { module, networks, name, parts, defaults: defaultsOf(module) };
    }),
    unknown,
  };
}

/** Refuses adapters of other kinds: without their unknown tensors, the change would be incomplete. */
function checkKind(
  path: string,
  weights: ReadonlyMap<string, Weight>,
  unknown: readonly string[],
  modules: number,
): void {
  const known = recognizeWeights(weights, path);
  if (known?.kind === 'lora' && modules > 0) return;
  const tensor = unknown.find((name) => otherAdapters.some(([pattern]) => pattern.test(name)));
  if (known) {
    throw new UnsupportedModelError({
      problem: `${path} is ${known.what}.`,
      details: tensor === undefined ? {} : { tensor },
      advice: known.advice,
    });
  }
  throw new UnsupportedModelError({
    problem: `${path} is not a LoRA.`,
    details: {
      expected: 'names such as unet.….lora_A.weight or lora_unet_….lora_down.weight',
      found: [...weights.keys()].slice(0, 3).join(', ') || 'no tensors',
    },
    advice: 'Check that it is the right file.',
  });
}

function twice(path: string, name: string, other: string): FileFormatError {
  return new FileFormatError({
    problem: `${path} changes a module twice.`,
    details: { first: other, second: name },
    advice: 'The file was put together from two. Use the LoRA as its author published it.',
  });
}
