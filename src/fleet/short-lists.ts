import { isJsonObject } from '../io/json/python-json.ts';
import { MOST_WORDS, sourceSchema } from './manifest.ts';

/**
 * A manifest as its schema will be asked: lists end behind the first thing in them that is refused. An error would be made of each of
 * the 100,000 that 200 kB hold, and the first is told.
 */
export function withShortLists(manifest: unknown): unknown {
  if (!isJsonObject(manifest)) return manifest;
  const { options, variants, sources } = manifest;
  return {
    ...manifest,
    ...('options' in manifest && { options: shortWords(options) }),
    ...('variants' in manifest && { variants: ofEach(variants, shortWords) }),
    ...(Array.isArray(sources) && { sources: shortSources(sources) }),
  };
}

function shortSources(sources: readonly unknown[]): readonly unknown[] {
  const short = sources.map((source) => ofEach(source, shortTexts));
  const wrong = short.findIndex((source) => !sourceSchema.safeParse(source).success);
  return wrong < 0 ? short : short.slice(0, wrong + 1);
}

/** Options whose lists of words are of few: those that are longer are refused by their length. */
function shortWords(options: unknown): unknown {
  return ofEach(options, (value) => (Array.isArray(value) ? value.slice(0, MOST_WORDS + 1) : value));
}

function shortTexts(list: unknown): unknown {
  if (!Array.isArray(list)) return list;
  const wrong = list.findIndex((each) => typeof each !== 'string' || each === '');
  return wrong < 0 ? list : list.slice(0, wrong + 1);
}

function ofEach(value: unknown, change: (value: unknown) => unknown): unknown {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, change(each)]));
}
