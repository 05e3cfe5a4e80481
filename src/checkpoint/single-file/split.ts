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

/** A file of tensors, taken apart. */
export interface SplitFile {
  readonly parts: Parts;
  /** The names of what belongs to no network, in the order of the file. */
  readonly left: readonly string[];
  /** What was done to the networks, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * The networks in a file of tensors, whoever named them; a file with none gives none. What is no network's is `left`, and
 * so is what is there twice, once it was taken. A LoRA that was saved beside a network's weights is merged into them. Throws
 * `FileFormatError` when a network is there twice, or a tensor in two shapes, and `UnusedWeightError` for tensors within a
 * network that it does not have.
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
  if (sorting.inside.length > 0) throw unknownInside(path, sorting.inside, used.size);
  const { parts, left, notes } = mergeUnfused(path, sorting.parts, sorting.changes);
  return { parts, left: [...sorting.left, ...left], notes };
}

/** Where a network's tensors lie, and what becomes of their names. */
interface Place extends FoundPart {
  readonly layout: Layout;
  readonly apply: Translate;
}

/** Tensors on their way to networks. */
class Sorting {
  readonly parts = new Map<Part, Map<string, Weight>>();
  /** Tensors of LoRAs that lie among a network's, in the network's names. */
  readonly changes = new Map<Part, Map<string, Weight>>();
  readonly left: string[] = [];
  /** What lies among a network's tensors and is none that it has. */
  readonly inside: string[] = [];
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
    else (place.layout.mayBelong(own, weight) ? this.inside : this.left).push(name);
  }

  /** Each name finds the network with the longest prefix, so that its own. */
  #placeOf(name: string): readonly [place: Place | undefined, own: string] {
    const plain = plainName(name);
    const places = this.#places.filter(({ prefix }) => plain.startsWith(prefix));
    const [longest] = places;
    // Networks without prefixes lie beside each other in one file.
    const place = places.find(
      ({ prefix, layout }) => prefix === longest?.prefix && layout.heads.test(plain.slice(prefix.length)),
    );
    const found = place ?? longest;
    return [found, plain.slice(found?.prefix.length ?? 0)];
  }

  #add(place: Place, name: string, own: string, weight: Weight): void {
    const translated = place.apply(own.replace('.base_layer.', '.'), weight);
    if (!translated) this.inside.push(name);
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

function unknownInside(path: string, names: readonly string[], all: number): UnusedWeightError {
  const [first = ''] = names;
  return new UnusedWeightError({
    problem: `${path} has ${count(names.length, 'tensor')} in its networks that no network of Stable Diffusion has.`,
    details: { first, tensors: `${names.length.toLocaleString('en')} of ${all.toLocaleString('en')}` },
    advice:
      'It is a kind of model that is not supported: with these tensors left out it would draw something else.',
  });
}
