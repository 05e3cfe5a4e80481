import { posix } from 'node:path';
import { findWeightFile, onlyVariant, type Variant, variantsAmong } from '../component-weights.ts';
import type { ModelPart } from '../model-index.ts';
import { isWeightless } from '../recognize/pipelines.ts';

/** What of a repository a conversion reads. */
export interface Selection {
  /** The components of model_index.json; left out for a repository that is one component itself. */
  readonly parts?: readonly Pick<ModelPart, 'name' | 'className'>[] | undefined;
  /** Which weights, where there are several; components without them give their plain ones. */
  readonly variant?: Variant | undefined;
  /** The networks that are wanted, by folder; all when left out. Tokenizers and the like always come. */
  readonly components?: readonly string[] | undefined;
}

/**
 * The files of a repository that a conversion reads: configurations, tokenizers, schedulers, and of each network's weights
 * one set (safetensors rather than .bin; the variant, else plain, else the only one), with all shards. Names are paths with `/`.
 */
export function filesForConversion(names: readonly string[], selection: Selection): readonly string[] {
  const { parts, variant, components } = selection;
  if (!parts) return componentFiles(names, '', variant);
  const wanted = parts.filter(
    ({ name, className }) => isWeightless(className) || !components || components.includes(name),
  );
  return [
    ...names.filter((name) => name === 'model_index.json'),
    ...wanted.flatMap(({ name, className }) =>
      isWeightless(className) ? settings(names, name) : componentFiles(names, name, variant),
    ),
  ];
}

/** The networks of a selection whose configuration or weights are not among the files, or not all of their shards. */
export function withoutWeights(names: readonly string[], selection: Selection): readonly string[] {
  const { parts = [{ name: '', className: '' }], variant, components } = selection;
  return parts
    .filter(({ name, className }) => !isWeightless(className) && (!components || components.includes(name)))
    .filter(({ name }) => {
      const files = inFolder(names, name);
      const weights = files.includes('config.json') ? weightFiles(files, variant) : [];
      return weights.length === 0 || weights.some((file) => lacksShards(file, weights));
    })
    .map(({ name }) => name);
}

/** The single-file checkpoints of a repository that is no diffusers folder; those of fewer bits only where it has no others. */
export function singleFiles(names: readonly string[]): readonly string[] {
  const files = names.filter((name) => /\.(safetensors|ckpt|pt|pth)$/i.test(name));
  return files.length > 0 ? files : names.filter((name) => /\.gguf$/i.test(name));
}

/** The variants that some component has. */
export function variantsIn(names: readonly string[]): readonly Variant[] {
  const folders = [...new Set(names.map((name) => posix.dirname(name)))];
  const found = folders.flatMap((folder) => variantsAmong(inFolder(names, folder === '.' ? '' : folder)));
  return [...new Set(found)].sort();
}

function componentFiles(names: readonly string[], folder: string, variant: Variant | undefined): string[] {
  const files = inFolder(names, folder);
  return [
    ...settings(names, folder).filter((name) => !/\.index(\.\w+)?\.json$/.test(name)),
    ...weightFiles(files, variant).map((file) => posix.join(folder, file)),
  ];
}

/** The small text files of a component: its configuration, a tokenizer's vocabulary. */
function settings(names: readonly string[], folder: string): string[] {
  const text = folder === '' ? /^config\.json$/ : /\.(json|txt|model)$/;
  return inFolder(names, folder)
    .filter((file) => text.test(file))
    .map((file) => posix.join(folder, file));
}

/** The files of a folder itself, without the folder's name. */
function inFolder(names: readonly string[], folder: string): string[] {
  return names.filter((name) => posix.dirname(name) === (folder || '.')).map((name) => posix.basename(name));
}

/** One set of weights: the file, or the index and all of its shards. */
function weightFiles(files: readonly string[], variant: Variant | undefined): string[] {
  const found =
    (variant && findWeightFile(files, variant)) ||
    (findWeightFile(files) ?? findWeightFile(files, onlyVariant(files) ?? ''));
  if (!found) return [];
  return found.endsWith('.json') ? [found, ...shardsOf(found, files)] : [found];
}

/** `model-00001-of-00002.safetensors`, with the variant before or after the numbers: diffusers has written both. */
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

/** Whether a file is one shard of several that are not all there, or an index without any. */
function lacksShards(file: string, weights: readonly string[]): boolean {
  if (file.endsWith('.json')) return weights.length === 1;
  const shard = shardName.exec(file)?.groups;
  return shard !== undefined && weights.length - 1 !== Number(shard.count);
}
