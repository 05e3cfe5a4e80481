import { dirname, resolve } from 'node:path';
import type { RequestError } from '../errors.ts';
import { isWithin } from '../io/path-from.ts';
import { sameNamed } from '../io/same-name.ts';
import { nearestOf } from '../text.ts';
import type { Item, ItemModels } from './item.ts';
import { type ManifestSource, plainName } from './manifest.ts';
import { modelsOfSource, nameOfModel } from './models-of-source.ts';
import { FLOAT32, locateReference, NONE, planVariants, type Variant } from './plan-variants.ts';
import { type Place, placeName, type ReadManifest } from './read-manifest.ts';
import { refused } from './refused.ts';
import { isService } from './store/open-store.ts';

/** The items of a manifest, and the folder of all results. */
export interface PlannedItems {
  readonly output: string;
  readonly items: readonly Item[];
}

/** More than anybody converts by one manifest: few lines of variants and sources would make items without end. */
const MOST_ITEMS = 100_000;

/** All variants of a manifest. */
interface Variants {
  readonly all: readonly Variant[];
  readonly byName: ReadonlyMap<string, Variant>;
}

/** A checkpoint whose models are found. */
interface Source {
  readonly name: string;
  readonly models: ItemModels;
  readonly sha256: Item['sha256'];
  readonly reference: string | undefined;
  readonly variants: readonly Variant[];
  readonly place: Place;
}

/**
 * Plans a manifest's items: every variant of every checkpoint, in the order of the file. Paths are relative to the manifest's
 * folder. Throws `RequestError` for what contradicts itself: a path that is not there, a checkpoint that is named twice, two
 * items with one folder, results inside a checkpoint or compared with themselves, a floor without a reference.
 */
export async function planItems(read: ReadManifest): Promise<PlannedItems> {
  const { manifest, path } = read;
  if (isService(manifest.output ?? ''))
    throw refused(
      read,
      ['output'],
      `is no folder: ${manifest.output}`,
      'Only sdconvert submit puts results elsewhere: --results.',
    );
  const output = resolve(dirname(path), manifest.output ?? 'converted');
  const all = await planVariants(read);
  const variants = { all, byName: new Map(all.map((each) => [each.name, each])) };
  const sources: Source[] = [];
  let planned = 0;
  for (const [index, each] of manifest.sources.entries()) {
    const source = typeof each === 'string' ? { source: each } : each;
    const found = await planSource(read, source, ['sources', index], variants);
    sources.push(found);
    planned += found.variants.length;
    if (planned > MOST_ITEMS) throw tooMany(read);
  }
  refuseTwins(read, sources);
  const items = sources.flatMap((source) =>
    source.variants.map((variant) => planItem(read, source, variant, output)),
  );
  refuseInside(read, sources, items);
  return { output, items };
}

async function planSource(
  read: ReadManifest,
  given: ManifestSource,
  place: Place,
  variants: Variants,
): Promise<Source> {
  const models = await modelsOfSource(read, given, place);
  const name = given.name ?? nameOfModel(models.modelVersion);
  if (!plainName.safeParse(name).success)
    throw refused(read, place, `gives no name for a folder: ${name}`, 'Add a name of letters and digits.');
  return {
    name,
    models,
    sha256: typeof given.sha256 === 'string' ? { '': given.sha256 } : given.sha256,
    reference: await locateReference(read, given.reference, [...place, 'reference']),
    variants: given.variants
      ? chosen(read, given.variants, variants.byName, [...place, 'variants'])
      : variants.all,
    place,
  };
}

/** The variants of these names. */
function chosen(
  read: ReadManifest,
  names: readonly string[],
  variants: Variants['byName'],
  place: Place,
): readonly Variant[] {
  return [...new Set(names)].map((name) => {
    const variant = variants.get(name);
    if (variant) return variant;
    const known = Object.keys(read.manifest.variants ?? {});
    const nearest = nearestOf(name, known);
    throw refused(
      read,
      [...place, names.indexOf(name)],
      `is ${name}, and there is no such variant`,
      nearest === undefined ? `There are: ${known.join(', ') || 'none'}.` : `Did you mean ${nearest}?`,
    );
  });
}

function planItem(read: ReadManifest, source: Source, variant: Variant, output: string): Item {
  const name = variant.name === '' ? source.name : `${source.name}/${variant.name}`;
  const { options, floor } = variant;
  const reference = source.reference ?? variant.reference ?? (floor === undefined ? NONE : FLOAT32);
  const { place } = source.reference === undefined ? variant : source;
  if (reference === NONE && floor !== undefined)
    throw refused(
      read,
      place,
      `has a floor of ${floor} dB and no reference`,
      'Leave out reference: none, or the floor.',
    );
  const own = resolve(output, name);
  if (isWithin(reference, own))
    throw refused(
      read,
      [...place, 'reference'],
      `is the result itself: ${reference}`,
      'Name what results are compared with: float32, or something outside of them.',
    );
  return {
    name,
    models: source.models,
    sha256: source.sha256,
    options,
    output: own,
    reference: reference === NONE ? undefined : reference,
    floor,
  };
}

/** Throws `RequestError` for a checkpoint that is named twice, and for two with one folder. */
function refuseTwins(read: ReadManifest, sources: readonly Source[]): void {
  const known = new Map<string, Source>();
  for (const source of sources) {
    const key = JSON.stringify(source.models);
    const same = known.get(key);
    if (same)
      throw refused(
        read,
        source.place,
        `is the checkpoint of ${placeName(same.place)} again`,
        'Name it once, with all its variants.',
      );
    known.set(key, source);
  }
  const same = sameNamed(sources, ({ name }) => name);
  if (!same) return;
  const [first, second] = same;
  throw refused(
    read,
    second.place,
    `and ${placeName(first.place)} would be written into one folder, ${second.name}`,
    'Give one of them another: name: …',
  );
}

/** Throws `RequestError` for results inside a checkpoint's folder: they would be read as parts of it, and change what it is. */
function refuseInside(read: ReadManifest, sources: readonly Source[], items: readonly Item[]): void {
  /** The first item within each folder above results. */
  const within = new Map<string, Item>();
  for (const item of items)
    for (let folder = item.output; !within.has(folder); folder = dirname(folder)) within.set(folder, item);
  for (const { place, models } of sources) {
    const item = within.get(resolve(models.modelVersion));
    if (item)
      throw refused(
        read,
        place,
        `would have results inside of it: ${item.output}`,
        'Name another folder for them, outside of it: output: …',
      );
  }
}

function tooMany(read: ReadManifest): RequestError {
  const problem = `make more than ${MOST_ITEMS.toLocaleString('en')} items with their variants`;
  return refused(read, ['sources'], problem, 'Write several manifests.');
}
