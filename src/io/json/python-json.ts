import { FileFormatError } from '../../errors.ts';
import { readText } from '../disk.ts';
import { extentOf, jsonPieces, nestsTooDeep } from './json-text.ts';

/** Any JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a parsed JSON value is an object. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What helps where a file of a checkpoint is not what it should be. */
export const DAMAGED = 'It is damaged or not the file it should be: download it again.';

/**
 * Parses JSON as Python writes it: `NaN`, `Infinity` and `-Infinity` are numbers (diffusers' schedulers have
 * `"lambda_min_clipped": -Infinity`). `file` names the text in the `FileFormatError` that anything else raises.
 */
export function parsePythonJson(text: string, file: string): unknown {
  if (nestsTooDeep(text))
    throw new FileFormatError({
      problem: `${file} nests lists and objects deeper than any data.`,
      advice: DAMAGED,
    });
  try {
    return JSON.parse(text); // nearly every file, and 20 times as fast
  } catch {
    return parseWithOddNumbers(text, file);
  }
}

function parseWithOddNumbers(text: string, file: string): unknown {
  const notANumber = unusedString(text);
  let hasNaN = false;
  const pieces = Array.from(jsonPieces(text), (piece) =>
    piece.startsWith('"')
      ? piece
      : piece.replace(/(?<![\w.])(?:Infinity|NaN)\b/g, (token) => {
          if (token === 'Infinity') return '1e999'; // too large for a float64: JSON.parse gives Infinity
          hasNaN = true;
          return JSON.stringify(notANumber);
        }),
  );
  try {
    const value = { whole: JSON.parse(pieces.join('')) };
    if (hasNaN) replaceByNaN(value, notANumber);
    return value.whole;
  } catch (error) {
    throw new FileFormatError(
      {
        problem: `${file} is not valid JSON.`,
        details: { found: error instanceof Error ? error.message : String(error) },
        advice: DAMAGED,
      },
      { cause: error },
    );
  }
}

/** By hand: the second argument of `JSON.parse` takes ten times as long. */
function replaceByNaN(container: object, notANumber: string): void {
  for (const [key, each] of Object.entries(container)) {
    if (each === notANumber) Reflect.set(container, key, Number.NaN);
    else if (typeof each === 'object' && each !== null) replaceByNaN(each, notANumber);
  }
}

/** Limits on a JSON file. */
export interface JsonLimits {
  readonly bytes: number;
  /** Of all objects in it: each costs a hundred times what its characters do. */
  readonly keys: number;
}

/** Limit on the size of a configuration or list, in bytes; those of the largest models have a tenth of it. */
export const LARGEST_OBJECT = 4 << 20;

/** Limits on them; a record may have more keys. */
export const CONFIG_LIMITS: JsonLimits = { bytes: LARGEST_OBJECT, keys: 50_000 };

/**
 * Reads a JSON file that Python wrote and that must hold an object. Throws `NotFoundError`, or `FileFormatError` for
 * anything else and for one beyond the limits.
 */
export async function readJsonObject(path: string, limits = CONFIG_LIMITS): Promise<JsonObject> {
  return parseJsonObject(await readText(path, limits.bytes), path, limits.keys);
}

/**
 * Parses JSON that Python wrote and that must hold an object; `file` names it in errors. Throws `FileFormatError` for anything else,
 * and for one of more than `most` keys.
 */
export function parseJsonObject(text: string, file: string, most = Number.POSITIVE_INFINITY): JsonObject {
  const { keys } = extentOf(text);
  if (keys > most)
    throw new FileFormatError({
      problem: `${file} has more keys than any file of its kind.`,
      details: { expected: `at most ${most.toLocaleString('en')}`, found: keys.toLocaleString('en') },
      advice: DAMAGED,
    });
  const value = parsePythonJson(text, file);
  if (isJsonObject(value)) return value;
  throw new FileFormatError({
    problem: `${file} does not hold a JSON object.`,
    details: { found: describe(value) },
    advice: DAMAGED,
  });
}

/** A string that stands for NaN while JSON.parse works, and that the text does not contain, spelled in letters or in escapes. */
function unusedString(text: string): string {
  const plain = text.replace(/\\u00([0-9a-f]{2})/gi, (_, hex) =>
    String.fromCodePoint(Number.parseInt(hex, 16)),
  );
  const longest = [...plain.matchAll(/NaN#*/g)].reduce((most, [{ length }]) => Math.max(most, length), 0);
  return `NaN${'#'.repeat(longest)}`;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return value === null ? 'null' : `a ${typeof value}`;
}
