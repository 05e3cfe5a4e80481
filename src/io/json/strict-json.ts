import { FileFormatError } from '../../errors.ts';
import { copyHashed } from '../copy-file.ts';
import { readText } from '../disk.ts';
import { asName, excerpt } from '../error-text.ts';
import { type Hashed, writeHashed } from '../hashing/write-hashed.ts';
import { nestsTooDeep } from './json-text.ts';
import { isJsonObject, parseJsonObject, parsePythonJson } from './python-json.ts';

/**
 * JSON that every reader takes. Python also writes `Infinity` and `NaN`, which JSON does not have: `JSON.parse`, browsers
 * and most runtimes refuse the whole file. All JSON files that sdconvert writes go through this file.
 */

/** Defaults of diffusers that JSON cannot hold: their keys are left out. */
const diffusersDefaults: Readonly<Record<string, number>> = { lambda_min_clipped: -Infinity };

/** A value as JSON text for `file`, ending in a newline. Throws `FileFormatError` for a number that is not finite. */
export function strictJson(value: unknown, file: string, indent: number): string {
  checkFinite(value, file);
  return `${JSON.stringify(value, undefined, indent)}\n`;
}

/**
 * Writes a value as a JSON file, and gives its size and SHA-256. Throws as `strictJson`, which names the file that the value comes `from`,
 * and `writeHashed` do.
 */
export async function writeJson(path: string, value: unknown, indent = 2, from = path): Promise<Hashed> {
  const bytes = new TextEncoder().encode(strictJson(value, from, indent));
  return writeHashed(path, (write) => write(bytes, 0));
}

/**
 * Copies one of a checkpoint's small files, and gives the copy's size and SHA-256. A JSON file that holds numbers which
 * JSON does not have is written anew: without the keys where they are diffusers' defaults. Throws `FileFormatError` for
 * other such numbers, for text that is not JSON and for a file that is empty or too large, and as `copyHashed` does.
 */
export async function copyConfigFile(from: string, to: string): Promise<Hashed> {
  const anew = await rewritten(from);
  return anew ? writeJson(to, anew.value, 2, from) : copyHashed(from, to);
}

/**
 * Throws what copying one of a checkpoint's small files would, and what reading it later would: as `readJsonObject` does for JSON.
 * Writes nothing.
 */
export async function checkConfigFile(from: string): Promise<void> {
  const text = await textIn(from);
  if (from.endsWith('.json')) strictJson(withoutInfiniteDefaults(parseJsonObject(text, from)), from, 0);
}

/** The text of a file that has any. */
async function textIn(path: string): Promise<string> {
  const text = await readText(path); // of whatever kind: none of them is large
  if (text !== '') return text;
  throw new FileFormatError({ problem: `${path} is empty.`, advice: 'Download or copy it again.' });
}

/** What is written in the place of a file that cannot be copied as it is; `undefined` for one that can. */
async function rewritten(from: string): Promise<{ readonly value: unknown } | undefined> {
  const text = await textIn(from);
  if (!from.endsWith('.json') || isStrict(text)) return undefined;
  const value = parsePythonJson(text, from);
  return { value: isJsonObject(value) ? withoutInfiniteDefaults(value) : value };
}

function isStrict(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** An object without the keys whose values are diffusers’ defaults and cannot be written. */
export function withoutInfiniteDefaults(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const kept = Object.entries(json).filter(
    ([key, value]) => !Object.hasOwn(diffusersDefaults, key) || value !== diffusersDefaults[key],
  );
  return Object.fromEntries(kept);
}

/** By hand: a replacer of `JSON.stringify` takes several times as long. */
function checkFinite(value: unknown, file: string): void {
  const odd = firstOdd(value);
  if (odd) throw notFinite(file, odd.place, odd.number);
}

interface OddNumber {
  readonly number: number;
  /** Where it is: `eos_token.content`, `sizes[2]`. */
  readonly place: string;
}

/** The first number of a value that JSON does not have. */
function firstOdd(value: unknown): OddNumber | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : { number: value, place: '' };
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, each] of Object.entries(value)) {
    const odd = firstOdd(each);
    if (!odd) continue;
    const own = Array.isArray(value) ? `[${key}]` : excerpt(key);
    return { ...odd, place: `${own}${odd.place === '' || odd.place.startsWith('[') ? '' : '.'}${odd.place}` };
  }
  return undefined;
}

function notFinite(file: string, key: string, value: number): FileFormatError {
  return new FileFormatError({
    problem: `${file} cannot be written: ${asName(key)} is ${value}, which JSON does not have.`,
    advice: `Remove ${asName(key)} from the file it comes from, or give it a finite number.`,
  });
}

/**
 * The value of a JSON file; `undefined` where it is not JSON, such as Python's with NaN and Infinity, or nests deeper than any data.
 * Throws as `readText` does.
 */
export async function readStrictJson(path: string): Promise<unknown> {
  try {
    const text = await readText(path);
    return nestsTooDeep(text) ? undefined : JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** What a file is that `readStrictJson` gives nothing of, to follow "is". Throws as `readText` does. */
export async function whyNotStrict(path: string): Promise<string> {
  try {
    parsePythonJson(await readText(path), path);
    return 'not strict JSON (NaN and Infinity are Python’s)';
  } catch (error) {
    if (!(error instanceof FileFormatError)) throw error;
    return 'no JSON, but cut short or damaged';
  }
}
