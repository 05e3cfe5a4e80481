import { posix } from 'node:path';
import { findWeightFile, onlyVariant, type Variant, variantsAmong } from '../component-weights.ts';
import type { ModelPart } from '../model-index.ts';
import { isWeightless } from '../recognize/pipelines.ts';

/** Selects what a conversion reads from a repository. */
export interface Selection {
  /** The components in model_index.json; left out for a repository of a single component. */
  readonly parts?: readonly Pick<ModelPart, 'name' | 'className'>[] | undefined;
  /** Variant of the weights; components without it use their plain weights. */
  readonly variant?: Variant | undefined;
  /** Whether a network is included, by its folder; default: all. Components without weights are always included. */
  readonly isNeeded?: ((component: string) => boolean) | undefined;
}

/**
 * Lists the files of a repository that a conversion reads: configs, tokenizers, schedulers, and for each network one
 * set of weights with all its shards (the variant, else the plain weights, else `onlyVariant`; safetensors is preferred
 * to .bin). Names are paths with `/`.
 */
export function filesForConversion(names: readonly string[], selection: Selection): readonly string[] {
  const { parts, variant, isNeeded = () => true } = selection;
  if (!parts) return componentFiles(names, '', variant);
  const wanted = parts.filter(({ name, className }) => isWeightless(className) || isNeeded(name));
  return [
    ...names.filter((name) => name === 'model_index.json'),
    ...wanted.flatMap(({ name, className }) =>
      isWeightless(className) ? settings(names, name) : componentFiles(names, name, variant),
    ),
  ];
}

/** Lists the selected networks whose config, weights or shards are missing. */
export function withoutWeights(names: readonly string[], selection: Selection): readonly string[] {
  const { parts = [{ name: '', className: '' }], variant, isNeeded = () => true } = selection;
  return parts
    .filter(({ name, className }) => !isWeightless(className) && isNeeded(name))
    .filter(({ name }) => {
      const files = inFolder(names, name);
      const weights = files.includes('config.json') ? weightFiles(files, variant) : [];
      return weights.length === 0 || weights.some((file) => lacksShards(file, weights));
    })
    .map(({ name }) => name);
}

/** Lists a repository's single-file checkpoints; GGUF files only where it has no others. */
export function singleFiles(names: readonly string[]): readonly string[] {
  const files = names.filter((name) => /\.(safetensors|ckpt|pt|pth)$/i.test(name));
  return files.length > 0 ? files : names.filter((name) => /\.gguf$/i.test(name));
}

/** Lists the variants that any component has. */
export function variantsIn(names: readonly string[]): readonly Variant[] {
  const folders = Map.groupBy(names, (name) => posix.dirname(name)).values();
  const found = [...folders].flatMap((files) => variantsAmong(files.map((name) => posix.basename(name))));
  return [...new Set(found)].sort();
}

function componentFiles(names: readonly string[], folder: string, variant: Variant | undefined): string[] {
  const files = inFolder(names, folder);
  return [
    ...settings(names, folder).filter((name) => !/\.index(\.\w+)?\.json$/.test(name)),
    ...weightFiles(files, variant).map((file) => posix.join(folder, file)),
  ];
}

/** Lists the small text files of a component: its config, a tokenizer's vocabulary. */
function settings(names: readonly string[], folder: string): string[] {
  const text = folder === '' ? /^config\.json$/ : /\.(json|txt|model)$/;
  return inFolder(names, folder)
    .filter((file) => text.test(file))
    .map((file) => posix.join(folder, file));
}

/** Lists the files directly in a folder, by file name. */
function inFolder(names: readonly string[], folder: string): string[] {
  return names.filter((name) => posix.dirname(name) === (folder || '.')).map((name) => posix.basename(name));
}

/** Lists one set of weights: a file, or an index and all of its shards. */
function weightFiles(files: readonly string[], variant: Variant | undefined): string[] {
  const found =
    (variant && findWeightFile(files, variant)) ||
    (findWeightFile(files) ?? findWeightFile(files, onlyVariant(files) ?? ''));
  if (!found) return [];
  return found.endsWith('.json') ? [found, ...shardsOf(found, files)] : [found];
}

/** `model-00001-of-00002.safetensors`, with the variant before or after the numbers: diffusers has used both. */
const shardName =
  /^(?<stem>.+?)(?:\.(?<before>[\w-]+))?-(?<at>\d{5})-of-(?<count>\d{5})(?:\.(?<after>[\w-]+))?\.(?<ending>\w+)$/;

function shardsOf(index: string, files: readonly string[]): string[] {
  const { stem, ending, variant } =
    /^(?<stem>.+?)\.(?<ending>safetensors|bin)\.index(?:\.(?<variant>[\w-]+))?\.json$/.exec(index)?.groups ??
    {};
  return files.filter((file) => {
    const shard = shardName.exec(file)?.groups;
    return shard?.stem === stem && shard?.ending === ending && (shard?.before ?? shard?.after) === variant;
  });
}

/** Whether shards are missing: the file is an index without any, or one of an incomplete set. */
function lacksShards(file: string, weights: readonly string[]): boolean {
  if (file.endsWith('.json')) return weights.length === 1;
  const shard = shardName.exec(file)?.groups;
  return shard !== undefined && weights.length - 1 !== Number(shard.count);
}
