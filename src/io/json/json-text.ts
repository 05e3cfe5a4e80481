/**
 * A JSON text cut at its string literals: what is between strings and the literals (quotes included) by turns, beginning
 * with what is between. Joined again they are the text. A string that never ends reaches to the end of the text.
 */
export function* jsonPieces(json: string): Generator<string> {
  let at = 0;
  for (let start = json.indexOf('"'); start >= 0; start = json.indexOf('"', at)) {
    yield json.slice(at, start);
    at = endOfString(json, start);
    yield json.slice(start, at);
  }
  yield json.slice(at);
}

/** What reading a JSON text will cost, by its characters alone. */
export interface JsonExtent {
  /** How deep lists and objects stand within each other. */
  readonly depth: number;
  /** Keys of all objects. */
  readonly keys: number;
}

/** Counts, whether the text is JSON or not. */
export function extentOf(json: string): JsonExtent {
  let depth = 0;
  let deepest = 0;
  let keys = 0;
  let isInString = false;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) isInString = !isInString;
    else if (isInString)
      at += code === BACKSLASH ? 1 : 0; // what follows a backslash is part of the string
    else if (code === COLON) keys++;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) deepest = Math.max(deepest, ++depth);
  }
  return { depth: deepest, keys };
}

/** Deeper than any data that is meant: much that walks through data takes a stack. */
const DEEPEST = 200;

/** Whether lists and objects of a JSON text stand deeper within each other than those of any data do. */
export function nestsTooDeep(json: string): boolean {
  return extentOf(json).depth > DEEPEST;
}

/** Codes of characters: a regular expression would make an object of each bracket. */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A key that one object of a valid JSON text holds twice, which `JSON.parse` would hide; `undefined` if there is none. */
export function duplicateKey(json: string): string | undefined {
  const open: Set<string>[] = []; // the keys of each object around the current place, the innermost last
  let literal = '';
  for (const piece of jsonPieces(json)) {
    if (piece.startsWith('"')) {
      literal = piece;
      continue;
    }
    if (/^\s*:/.test(piece)) {
      const key: string = JSON.parse(literal); // two spellings of one key are the same key
      if (open.at(-1)?.has(key)) return key;
      open.at(-1)?.add(key);
    }
    for (const character of piece) {
      if (character === '{') open.push(new Set());
      if (character === '}') open.pop();
    }
  }
  return undefined;
}

function endOfString(json: string, start: number): number {
  const special = /["\\]/g;
  special.lastIndex = start + 1;
  for (let found = special.exec(json); found; found = special.exec(json)) {
    if (found[0] === '"') return special.lastIndex;
    special.lastIndex++; // what follows a backslash is part of the string
  }
  return json.length;
}
