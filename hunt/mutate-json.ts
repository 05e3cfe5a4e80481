import type { Mutator } from './format.ts';
import { LARGEST_INPUT, mutateBytes } from './mutate-bytes.ts';
import { mutateWords, oddNumberText, oddTexts } from './mutate-text.ts';
import type { Random } from './random.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Stands for text that JSON.stringify would not write. */
const RAW = '\u0001raw ';

/** Changes JSON value by value; what is no JSON any more is changed word by word. */
export const mutateJson: Mutator = (bytes, random) => {
  let text: string;
  try {
    text = JSON.stringify(changed(JSON.parse(new TextDecoder().decode(bytes)), random));
  } catch {
    return mutateWords()(bytes, random); // no JSON, or too deep to be written
  }
  const written = text.replaceAll(/"\\u0001raw ((?:[^"\\]|\\.)*)"/g, (_, raw: string) =>
    JSON.parse(`"${raw}"`),
  );
  return new TextEncoder()
    .encode(random.oneIn(20) ? withTwin(written, random) : written)
    .slice(0, LARGEST_INPUT);
};

/** How JSON is changed: mostly by its values, now and then by its bytes. */
export const jsonMutators: readonly Mutator[] = [mutateJson, mutateJson, mutateJson, mutateBytes];

/** The value with a change at one place in it. */
function changed(json: Json, random: Random): Json {
  const isContainer = typeof json === 'object' && json !== null;
  const entries: [string, Json][] = isContainer ? Object.entries(json) : [];
  if (entries.length === 0 || random.oneIn(6)) return replaced(json, random);
  const [key, value] = random.pick(entries);
  if (Array.isArray(json)) return changedList(json, Number(key), random);
  switch (random.below(12)) {
    case 0:
      return Object.fromEntries(entries.filter(([name]) => name !== key));
    case 1:
      return Object.fromEntries(
        entries.map(([name, each]) => [name === key ? random.pick(oddTexts) : name, each]),
      );
    case 2:
      return Object.fromEntries([...entries, [random.pick(oddTexts), random.pick(entries)[1]]]);
    case 3:
      return Object.fromEntries(
        entries.map(([name, each]) => [name, name === key ? random.pick(entries)[1] : each]),
      );
    case 4:
      return Object.fromEntries([
        ...entries,
        ...many([key, value], random).map((n): [string, Json] => [`${key}${n}`, value]),
      ]);
    default:
      return Object.fromEntries(
        entries.map(([name, each]) => [name, name === key ? changed(each, random) : each]),
      );
  }
}

function changedList(list: Json[], at: number, random: Random): Json[] {
  const value = list[at] ?? null;
  switch (random.below(6)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(at, 0, ...many(value, random).map(() => value));
    case 2:
      return list.with(at, random.pick(list));
    default:
      return list.with(at, changed(value, random));
  }
}

/** What cannot become a text. */
const noText: Json = Object.fromEntries([
  ['toString', 1],
  ['valueOf', 1],
]);

/** Something else in the place of a value. */
function replaced(json: Json, random: Random): Json {
  switch (random.below(10)) {
    case 0:
      return random.pick([null, true, false, [], {}, [[]], [null], { a: null }, noText]);
    case 1:
      return `${RAW}${nested(random)}`;
    case 2:
      return random.pick(oddTexts);
    case 3:
      return typeof json === 'string' ? json + random.pick(oddTexts) : [json];
    case 4:
      return typeof json === 'number' ? -json : { value: json };
    case 5:
      return typeof json === 'string' ? json : JSON.stringify(json);
    default:
      return `${RAW}${oddNumberText(random)}`;
  }
}

/** Deeper than any stack, sometimes. */
function nested(random: Random): string {
  const depth = random.length(50_000);
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  return `${open.repeat(depth)}1${close.repeat(depth)}`;
}

/** As many numbers from 0 on as there may be copies of something: what no input can hold is not written first. */
function many(copied: Json, random: Random): number[] {
  const most = Math.ceil(LARGEST_INPUT / JSON.stringify(copied).length);
  return Array.from({ length: Math.min(random.length(2000), most) }, (_, index) => index);
}

/** One key twice, which `JSON.parse` hides. */
function withTwin(text: string, random: Random): string {
  // Whole texts, keys or not: one that begins in the middle of another would be followed to its end from each of its quotes.
  const keys = [...text.matchAll(/"(?:[^"\\]|\\.)*"(:?)/g)].filter(([, colon]) => colon === ':');
  if (keys.length === 0) return text;
  const { index } = random.pick(keys);
  return `${text.slice(0, index)}${random.pick(keys)[0]}${random.pick(['1', 'null', '{}', '"x"'])},${text.slice(index)}`;
}
