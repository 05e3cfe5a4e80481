import { refuseChunks } from '../bundle/profiles/refusals.ts';
import { targetsFor } from '../commands/conversion/clients.ts';
import { networkKinds } from '../convert/networks/networks.ts';
import { RequestError } from '../errors.ts';
import { sameNamed } from '../io/same-name.ts';
import { planQuantization } from '../quantize/plan.ts';
import type { ItemOptions } from './item.ts';
import type { VariantOptions } from './manifest.ts';
import { locate } from './models-of-source.ts';
import { type Place, placeName, type ReadManifest } from './read-manifest.ts';
import { refused } from './refused.ts';

/** What is made of each checkpoint. */
export interface Variant {
  /** Empty where the manifest names no variants: results are then in the checkpoint's folder itself. */
  readonly name: string;
  readonly options: ItemOptions;
  readonly floor: number | undefined;
  readonly reference: string | undefined;
  readonly place: Place;
}

/** The reference that is the checkpoint itself, in float32. */
export const FLOAT32 = 'float32';

/** No reference. */
export const NONE = 'none';

/** Plans the variants of a manifest. Throws `RequestError` for options that contradict each other. */
export async function planVariants(read: ReadManifest): Promise<readonly Variant[]> {
  const { options = {}, variants } = read.manifest;
  if (!variants) return [await planVariant(read, '', options, ['options'])];
  const planned: Variant[] = [];
  for (const [name, own] of Object.entries(variants))
    planned.push(await planVariant(read, name, { ...options, ...own }, ['variants', name]));
  if (planned.length === 0) throw refused(read, ['variants'], 'is empty', 'Leave it out, or name a variant.');
  const same = sameNamed(planned, ({ name }) => name);
  if (!same) return planned;
  const [first, second] = same;
  throw refused(
    read,
    second.place,
    `and ${placeName(first.place)} would have one folder on Windows and macOS`,
    'Give one of them another name.',
  );
}

async function planVariant(
  read: ReadManifest,
  name: string,
  { floor, reference, bits, mode, groupSize, sizes, ...options }: VariantOptions,
  place: Place,
): Promise<Variant> {
  for (const [key, value] of Object.entries({ mode, groupSize }))
    if (value !== undefined && bits === undefined)
      throw refused(read, [...place, key], 'changes nothing without bits', 'Add bits, or leave it out.');
  const { models = networkKinds, without = [] } = options;
  if (models.every((network) => without.includes(network)))
    throw refused(
      read,
      [...place, 'without'],
      'leaves no network to convert',
      'Leave one of them out of it.',
    );
  const quantization = bits === undefined ? undefined : { bits, mode, groupSize };
  try {
    if (quantization) planQuantization(quantization);
    targetsFor(options.clients, options.targets);
    if (options.maxChunkBytes !== undefined) refuseChunks(options.clients ?? []);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { problem, advice = '' } = error;
    throw new RequestError(
      { problem: `${read.at(place)}: ${inKeys(problem)}`, advice: inKeys(advice) },
      { cause: error },
    );
  }
  return {
    name,
    options: { ...options, ...(sizes && { sizes: withoutMissing(sizes) }), quantization },
    floor,
    reference: await locateReference(read, reference, [...place, 'reference']),
    place,
  };
}

/** Options of the command line, and the keys that a manifest has for them. */
const keys = { '--target': 'targets', '--for': 'clients', '--chunk-unet': 'maxChunkBytes', '--mode': 'mode' };

/** A sentence about options as one about a manifest. */
function inKeys(sentence: string): string {
  return Object.entries(keys).reduce((text, [option, key]) => text.replaceAll(option, key), sentence);
}

/** Finds what results are compared with: a path or an id on the Hub, or one of the words. Throws `RequestError`. */
export async function locateReference(
  read: ReadManifest,
  reference: string | undefined,
  place: Place,
): Promise<string | undefined> {
  const isWord = reference === undefined || reference === FLOAT32 || reference === NONE;
  return isWord ? reference : locate(read, reference, place);
}

/** Without the keys that have no value, which a conversion would take for sizes. */
function withoutMissing<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  // as: what is left has its value, and the others were optional.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
