import { FileFormatError, UnusedWeightError } from '../../errors.ts';
import { count } from '../../text.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import type { Weight } from '../../weights/weight.ts';
import { mergeUnfused } from '../lora/merge-unfused.ts';
import { type FoundPart, type Part, plainName, survey } from '../recognize/survey.ts';
import { isIgnored } from './ignored.ts';
import { type Layout, layoutOf } from './layouts.ts';
import type { Translate } from './translate.ts';

export type { Part } from '../recognize/survey.ts';

/** The networks of a file, in diffusers' names. */
export type Parts = ReadonlyMap<Part, ReadonlyMap<string, Weight>>;

/** A file of tensors, split into its networks. */
export interface SplitFile {
  readonly parts: Parts;
  /** Names of the tensors that belong to no network, in file order. */
  readonly left: readonly string[];
  /** Notes on changes to the networks, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Splits a file of tensors, in any layout, into its networks, in diffusers' names; there may be none. Tensors of no
 * network are `left`, and so are duplicates. A LoRA that was saved beside a network's weights is merged into them.
 * Throws `FileFormatError` when the file has a network twice, or a tensor in two shapes, and `UnusedWeightError` for
 * tensors within a network that do not belong there.
 */
export function splitSingleFile({ path, weights }: Pick<WeightFile, 'path' | 'weights'>): SplitFile {
  const used = new Map([...weights].filter(([name]) => !isIgnored(plainName(name))));
  const { parts: found, rivals, adapters } = survey(used);
  if (rivals) throw twoOfOne(path, rivals);
  const sorting = new Sorting(path, [...found.values()], new Set(adapters), [...used.keys()]);
  const [first, second] = [false, true].map((isSecond) =>
    [...used].filter(([name]) => sorting.isSecondSpelling(name) === isSecond),
  );
  for (const [name, weight] of [...(first ?? []), ...(second ?? [])]) sorting.put(name, weight);
  if (sorting.foreign.length > 0) throw foreignTensors(path, sorting.foreign, used.size);
  const { parts, left, notes } = mergeUnfused(path, sorting.parts, sorting.changes);
  return { parts, left: [...sorting.left, ...left], notes };
}

/** A network's prefix and layout, and the translation of its names. */
interface Place extends FoundPart {
  readonly layout: Layout;
  readonly apply: Translate;
}

/** Sorts tensors into networks. */
class Sorting {
  readonly parts = new Map<Part, Map<string, Weight>>();
  /** Tensors of LoRAs among a network's tensors, in the network's names. */
  readonly changes = new Map<Part, Map<string, Weight>>();
  readonly left: string[] = [];
  /** Tensors among a network's that the network does not have. */
  readonly foreign: string[] = [];
  readonly #path: string;
  readonly #places: readonly Place[];
  readonly #adapters: ReadonlySet<string>;

  constructor(
    path: string,
    found: readonly FoundPart[],
    adapters: ReadonlySet<string>,
    names: readonly string[],
  ) {
    this.#path = path;
    this.#adapters = adapters;
    const plain = names.filter((name) => !adapters.has(name)).map(plainName);
    this.#places = found
      .map((part): Place => {
        const layout = layoutOf(part);
        const own = plain
          .filter((name) => name.startsWith(part.prefix))
          .map((name) => name.slice(part.prefix.length));
        return { ...part, layout, apply: layout.translate(own) };
      })
      .sort((a, b) => b.prefix.length - a.prefix.length);
  }

  isSecondSpelling(name: string): boolean {
    const [place, own] = this.#placeOf(name);
    return place?.layout.second?.test(own) ?? false;
  }

  put(name: string, weight: Weight): void {
    const [place, own] = this.#placeOf(name);
    if (!place) this.left.push(name);
    else if (this.#adapters.has(name)) this.#change(place.part, name, own, weight);
    else if (place.layout.heads.test(own)) this.#add(place, name, own, weight);
    else (place.layout.mayBelong(own, weight) ? this.foreign : this.left).push(name);
  }

  /** The network that a name belongs to: the one with the longest matching prefix. */
  #placeOf(name: string): readonly [place: Place | undefined, own: string] {
    const plain = plainName(name);
    const places = this.#places.filter(({ prefix }) => plain.startsWith(prefix));
    const [longest] = places;
    // Several networks of a file may share a prefix, or have none.
    const place = places.find(
      ({ prefix, layout }) => prefix === longest?.prefix && layout.heads.test(plain.slice(prefix.length)),
    );
    const found = place ?? longest;
    return [found, plain.slice(found?.prefix.length ?? 0)];
  }

  #add(place: Place, name: string, own: string, weight: Weight): void {
    const translated = place.apply(own.replace('.base_layer.', '.'), weight);
    if (!translated) this.foreign.push(name);
    const part = entryOf(this.parts, place.part);
    for (const each of translated ?? []) {
      const other = part.get(each.name);
      if (!other) part.set(each.name, each);
      else if (`${other.shape}` === `${each.shape}`) this.left.push(name);
      else throw twice(this.#path, place.part, name, each.name);
    }
  }

  #change(part: Part, name: string, own: string, weight: Weight): void {
    entryOf(this.changes, part).set(own, { ...weight, name });
  }
}

function entryOf(parts: Map<Part, Map<string, Weight>>, part: Part): Map<string, Weight> {
  const entry = parts.get(part) ?? new Map<string, Weight>();
  parts.set(part, entry);
  return entry;
}

function twoOfOne(path: string, [first, second]: readonly [FoundPart, FoundPart]): FileFormatError {
  return new FileFormatError({
    problem: `${path} holds two networks that could be its ${first.part}.`,
    details: { first: first.mark, second: second.mark },
    advice: 'The file was put together from two. Use the model as its author published it.',
  });
}

function twice(path: string, part: Part, name: string, now: string): FileFormatError {
  return new FileFormatError({
    problem: `a tensor of the ${part} is in ${path} under two names, in two shapes.`,
    details: { one: name, both: now },
    advice: 'The file was put together from two. Use the model as its author published it.',
  });
}

function foreignTensors(path: string, names: readonly string[], all: number): UnusedWeightError {
  const [first = ''] = names;
  return new UnusedWeightError({
    problem: `${path} has ${count(names.length, 'tensor')} in its networks that no network of Stable Diffusion has.`,
    details: { first, tensors: `${names.length.toLocaleString('en')} of ${all.toLocaleString('en')}` },
    advice: 'This kind of model is not supported: without these tensors it would draw other pictures.',
  });
}
