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

/** Deeper than any data that is meant: much that walks through data takes a stack. */
const DEEPEST = 200;

/** Whether lists and objects of a JSON text, given in `jsonPieces`, stand deeper within each other than those of any data do. */
export function nestsTooDeep(pieces: Iterable<string>): boolean {
  let depth = 0;
  for (const piece of pieces) {
    if (piece.startsWith('"')) continue;
    for (const [bracket] of piece.matchAll(/[[\]{}]/g)) {
      depth += bracket === '[' || bracket === '{' ? 1 : -1;
      if (depth > DEEPEST) return true;
    }
  }
  return false;
}

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
