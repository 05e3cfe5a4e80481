import { isMap, isNode, isScalar } from 'yaml';
import { z } from 'zod';
import { FileFormatError, RequestError } from '../errors.ts';
import { readText } from '../io/disk.ts';
import { shown } from '../io/error-text.ts';
import { kinds, wanted } from '../io/wanted.ts';
import { parseYaml, type YamlDocument, YamlProblem } from '../io/yaml.ts';
import { nearestOf } from '../text.ts';
import { inRepository } from '../version.ts';
import { type Manifest, manifestSchema } from './manifest.ts';
import { withShortLists } from './short-lists.ts';

/** Where a value is in a manifest: `['sources', 2, 'name']`. */
export type Place = readonly PropertyKey[];

/** A manifest, and where its values are. */
export interface ReadManifest {
  readonly path: string;
  readonly manifest: Manifest;
  /** The file and the line of a value, as errors name it: `fleet.yaml:12`. */
  at(place: Place): string;
}

const KEYS = `All keys and their values: ${inRepository('docs/batch.md')}`;

/** A hundred thousand sources by their paths take less. */
const MOST_BYTES = 1 << 24;

/** More aliases than this make large data of a small file. */
const MOST_ALIASES = 1000;

/**
 * Reads a manifest, YAML or JSON. Throws `NotFoundError`, `FileFormatError` for a file that is neither, and `RequestError` that
 * names file, line and key for a value that the schema does not allow.
 */
export async function readManifest(path: string): Promise<ReadManifest> {
  const { document, value, lineAt } = parse(await readText(path, MOST_BYTES), path);
  const at = (place: Place): string => {
    const offset = offsetOf(document, place);
    return offset === undefined ? path : `${path}:${lineAt(offset)}`;
  };
  const { data, error } = manifestSchema.safeParse(withShortLists(value), { reportInput: true });
  if (!data) throw refusal(error, value, at);
  return { path, manifest: data, at };
}

type Document = YamlDocument['document'];

function parse(text: string, path: string): YamlDocument {
  try {
    return parseYaml(text, MOST_ALIASES);
  } catch (error) {
    if (!(error instanceof YamlProblem)) throw error;
    const { line, message } = error;
    throw notAManifest(line === undefined ? path : `${path}:${line}`, message);
  }
}

function notAManifest(where: string, found: string): FileFormatError {
  return new FileFormatError({
    problem: `${where}: this is not a manifest in YAML or JSON.`,
    details: { found },
    advice: 'sdconvert batch --init writes an example.',
  });
}

/** Where a value begins in the text: itself, the key that it belongs to, or what it is in. */
function offsetOf(document: Document, place: Place): number | undefined {
  for (let length = place.length; length >= 0; length--) {
    const parent = length > 0 ? nodeAt(document, place.slice(0, length - 1)) : undefined;
    const key = place[length - 1];
    const pair = isMap(parent)
      ? parent.items.find((item) => isScalar(item.key) && item.key.value === key)
      : undefined;
    const node = pair?.key ?? nodeAt(document, place.slice(0, length));
    if (isNode(node) && node.range) return node.range[0];
  }
  return undefined;
}

function nodeAt(document: Document, place: Place): unknown {
  return place.length === 0 ? document.contents : document.getIn(place, true);
}

type Issue = z.core.$ZodIssue;

/** The first thing that is wrong, in a sentence. */
function refusal({ issues }: z.ZodError, value: unknown, at: (place: Place) => string): RequestError {
  const issue = innermost(issues);
  const place = issue.path;
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const known = keysAt(place);
    const nearest = nearestOf(key, known);
    return new RequestError({
      problem: `${at([...place, key])}: there is no key ${JSON.stringify(key)} ${place.length === 0 ? 'in a manifest' : `in ${placeName(place)}`}.`,
      details: nearest === undefined ? { keys: known.join(', ') } : {},
      advice: nearest === undefined ? KEYS : `Did you mean ${nearest}?`,
    });
  }
  const found = place.reduce<unknown>((inner, key) => Object(inner)[key], value);
  if (place.length === 0)
    return new RequestError({
      problem: `${at(place)}: a manifest is a list of keys and values, and this is not.`,
      details: { found: shown(value) },
      advice: 'sdconvert batch --init writes an example.',
    });
  if (found === undefined)
    return new RequestError({
      problem: `${at(place)}: ${placeName(place)} is missing.`,
      advice: 'sdconvert batch --init writes an example.',
    });
  return new RequestError({
    problem: `${at(place)}: ${placeName(place)} is ${described(found, issue)}: expected ${wanted(issue)}.`,
    advice: choice(issue, found),
  });
}

/** The issue itself; of a value that may be of several kinds, that of the kind which it is nearest to. */
function innermost([first]: readonly Issue[]): Issue {
  if (!first) throw new Error('a schema refused a value without saying why');
  if (first.code === 'invalid_key') return { ...innermost(first.issues), path: first.path };
  if (first.code !== 'invalid_union') return first;
  const own = first.errors.filter((issues) =>
    issues.some(({ path, code }) => path.length > 0 || code !== 'invalid_type'),
  );
  const [nearest = first.errors[0] ?? []] = own;
  const inner = innermost(nearest);
  return { ...inner, path: [...first.path, ...inner.path] };
}

/** The keys that the schema has at a place. */
function keysAt(place: Place): string[] {
  let schema: unknown = manifestSchema;
  for (const key of [...place, undefined]) {
    while (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) schema = schema.unwrap();
    if (schema instanceof z.ZodUnion) schema = schema.options.at(-1);
    if (key === undefined) break;
    if (schema instanceof z.ZodObject) schema = schema.shape[String(key)];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** A place in words: `sources[2].name`. */
export function placeName(place: Place): string {
  return place
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`))
    .join('');
}

/** What was found: of a wrong kind, which; else the value itself. */
function described(found: unknown, issue: Issue): string {
  const isOfOtherKind =
    issue.code === 'invalid_type' && ['array', 'object', 'record'].includes(issue.expected);
  if (!isOfOtherKind || found === null) return shown(found);
  return kinds[Array.isArray(found) ? 'array' : typeof found] ?? shown(found);
}

/** Of a name that is nearly one of those that are allowed. */
function choice(issue: Issue, found: unknown): string {
  const nearest =
    issue.code === 'invalid_value' && typeof found === 'string'
      ? nearestOf(found, issue.values.map(String))
      : undefined;
  return nearest === undefined ? KEYS : `Did you mean ${nearest}?`;
}
