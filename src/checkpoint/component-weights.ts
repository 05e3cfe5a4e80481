import { join } from 'node:path';
import { FileFormatError, NotFoundError } from '../errors.ts';
import { listFolder } from '../io/disk.ts';
import { shown } from '../io/error-text.ts';
import { DAMAGED, isJsonObject, readJsonObject } from '../io/json/python-json.ts';
import { withScales } from '../weights/scaled/with-scales.ts';
import type { WeightFile } from '../weights/tensors-of-file.ts';
import type { Weight } from '../weights/weight.ts';
import { openStoredTensors } from '../weights/weight-file.ts';

/** Common variants of weights beside the plain ones; any other word may be a variant, too. */
export const variants = ['fp16', 'bf16', 'fp32', 'ema', 'non_ema'] as const;

/** Variant of a set of weight files, as in their names before the ending: `fp16`. */
export type Variant = string;

/** The weights of one component: every tensor of its file, or of all its shards. */
export interface ComponentWeights {
  /** Paths of the weight files. */
  readonly files: readonly string[];
  readonly weights: ReadonlyMap<string, Weight>;
  close(): Promise<void>;
}

/** Names that diffusers and transformers give to weight files and to the indexes of shards, the preferred first. */
export const weightFileNames = [
  'diffusion_pytorch_model.safetensors',
  'model.safetensors',
  'diffusion_pytorch_model.safetensors.index.json',
  'model.safetensors.index.json',
  'diffusion_pytorch_model.bin',
  'pytorch_model.bin',
  'diffusion_pytorch_model.bin.index.json',
  'pytorch_model.bin.index.json',
];

/**
 * The file (or shard index) in a component's folder that holds a variant, or the plain weights; `undefined` if none
 * does.
 */
export function findWeightFile(names: Iterable<string>, variant?: Variant): string | undefined {
  const wanted = variant
    ? weightFileNames.map((name) => name.replace(/\.\w+$/, `.${variant}$&`))
    : weightFileNames;
  const all = names instanceof Set ? names : new Set(names);
  return wanted.find((name) => all.has(name));
}

/** Whether a folder with such files holds weights of a component, plain or of a variant. */
export function hasWeights(names: readonly string[]): boolean {
  return findWeightFile(names) !== undefined || variantsAmong(names).length > 0;
}

/** Lists the variants that a folder has, by its file names; those of shards are in the name of their index. */
export function variantsAmong(names: readonly string[]): readonly Variant[] {
  const found = names
    .filter((name) => !shardNumbers.test(name))
    .flatMap(
      (name) =>
        variantName
          .exec(name)
          ?.slice(1)
          .find((each) => each !== undefined) ?? [],
    );
  const all = new Set(names);
  return [...new Set(found)].filter((variant) => findWeightFile(all, variant)).sort();
}

const shardNumbers = /-\d{5}-of-\d{5}\./;

const variantName =
  /^(?:diffusion_pytorch_model|pytorch_model|model)\.(?:([\w-]+)\.(?:safetensors|bin)|(?:safetensors|bin)\.index\.([\w-]+)\.json)$/;

/** The variant used where there are no plain weights: the only one, or fp16 if it is among several. */
export function onlyVariant(names: readonly string[]): Variant | undefined {
  const found = variantsAmong(names);
  const [only, ...others] = found;
  if (others.length === 0) return only === 'non_ema' ? undefined : only;
  return found.includes('fp16') && !found.includes('non_ema') ? 'fp16' : undefined;
}

/**
 * Opens a component's weights: those of `variant` where the folder has them, else the plain ones, else those of
 * `onlyVariant`; safetensors is preferred to PyTorch's .bin. Throws `NotFoundError` when there are none or shards are
 * missing, `FileFormatError` when shards disagree with their index, and what `openWeightFile` throws.
 */
export async function openComponentWeights(folder: string, variant?: Variant): Promise<ComponentWeights> {
  const names = await listFolder(folder);
  const file = (variant && findWeightFile(names, variant)) ?? findWeightFile(names) ?? onlyOne(names);
  if (!file) throw noWeights(folder, names);
  return file.endsWith('.json') ? openShards(folder, file) : openFiles([join(folder, file)]);
}

function onlyOne(names: readonly string[]): string | undefined {
  const variant = onlyVariant(names);
  return variant && findWeightFile(names, variant);
}

async function openShards(folder: string, indexName: string): Promise<ComponentWeights> {
  const index = join(folder, indexName);
  const shardOf = await readIndex(index);
  const shards = [...new Set(shardOf.values())].sort();
  const names = new Set(await listFolder(folder));
  const missing = shards.filter((shard) => !names.has(shard));
  if (missing.length > 0) {
    throw new NotFoundError({
      problem: `${folder} lacks ${missing.length} of its ${shards.length} weight files.`,
      details: { missing: missing.join(', '), 'named in': index },
      advice: 'The download is not complete: download the missing files.',
    });
  }
  const paths = shards.map((shard) => join(folder, shard));
  return openFiles(paths, (stored) => checkIndex(index, folder, shardOf, stored));
}

/** Reads the shard of each tensor. Shard names are untrusted and become paths, so only plain file names are accepted. */
async function readIndex(index: string): Promise<ReadonlyMap<string, string>> {
  const { weight_map: map } = await readJsonObject(index);
  if (!isJsonObject(map))
    throw new FileFormatError({
      problem: `${index} has no weight_map.`,
      details: map === undefined ? {} : { found: shown(map) },
      advice: DAMAGED,
    });
  const pairs = Object.entries(map).map(([tensor, shard]): [string, string] => {
    if (typeof shard === 'string' && /^[^/\\:]+\.(safetensors|bin)$/.test(shard) && !shard.includes('..'))
      return [tensor, shard];
    throw new FileFormatError({
      problem: `${index} names a weight file that is not a plain .safetensors or .bin file name.`,
      details: { tensor, found: shown(shard) },
      advice: 'Do not use this checkpoint unless you trust where it comes from.',
    });
  });
  return new Map(pairs);
}

function checkIndex(
  index: string,
  folder: string,
  shardOf: ReadonlyMap<string, string>,
  weights: ReadonlyMap<string, Weight>,
): void {
  const advice = 'The files come from different downloads: download the folder again.';
  for (const [tensor, shard] of shardOf) {
    const weight = weights.get(tensor);
    if (weight?.file === join(folder, shard)) continue;
    throw new FileFormatError({
      problem: `${index} and the files it names disagree.`,
      details: { tensor, expected: `in ${shard}`, found: weight ? `in ${weight.file}` : 'in none of them' },
      advice,
    });
  }
  for (const { name, file } of weights.values()) {
    if (shardOf.has(name)) continue;
    throw new FileFormatError({
      problem: `${index} and the files it names disagree.`,
      details: { tensor: name, expected: 'an entry in the index', found: `only in ${file}` },
      advice,
    });
  }
}

/** Opens all of the files, or none; `check` gets the tensors as stored, before scales are applied. */
async function openFiles(
  paths: readonly string[],
  check: (stored: ReadonlyMap<string, Weight>) => void = () => {},
): Promise<ComponentWeights> {
  const opened: WeightFile[] = [];
  const close = async () => {
    await Promise.all(opened.map((file) => file.close()));
  };
  const stored = new Map<string, Weight>();
  try {
    for (const path of paths) {
      const file = await openStoredTensors(path);
      opened.push(file);
      for (const weight of file.weights.values()) {
        const other = stored.get(weight.name);
        if (other) throw inTwoFiles(weight, other);
        stored.set(weight.name, weight);
      }
    }
    check(stored);
    const metadata = Object.assign({}, ...opened.map((file) => file.metadata));
    return { files: paths, weights: await withScales({ metadata, weights: stored }), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function inTwoFiles(weight: Weight, other: Weight): FileFormatError {
  return new FileFormatError({
    problem: `${weight.name} is in two weight files.`,
    details: { first: other.file, second: weight.file },
    advice: 'The files come from different downloads: download the folder again.',
  });
}

function noWeights(folder: string, names: readonly string[]): Error {
  const found = variantsAmong(names);
  return new NotFoundError({
    problem: `${folder} has no weight file with a known name.`,
    details: {
      expected: weightFileNames.slice(0, 2).join(' or '),
      found: names.length > 0 ? names.join(', ') : 'an empty folder',
    },
    advice:
      found.length > 0
        ? `Choose one of the variants (${found.join(' or ')}) with --variant.`
        : 'The download is not complete: download the weights of this folder.',
  });
}
