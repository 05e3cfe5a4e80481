import { FileFormatError } from '../../../errors.ts';
import { parseFloatText } from './hex-float.ts';

interface Token {
  readonly text: string;
  /** Its first character's place in the text. */
  readonly at: number;
}

/** Reads a program's text word by word. Unexpected text raises a `FileFormatError` with its place. */
export class MilTokens {
  readonly #text: string;
  readonly #file: string;
  /** The words that were looked at and not taken yet; behind them goes on at `#at`. */
  readonly #upcoming: Token[] = [];
  #at = 0;
  #last: Token = { text: '', at: 0 };

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  /** The word that comes in `distance` words, without taking it; '' behind the end. */
  peek(distance = 0): string {
    for (;;) {
      const found = this.#upcoming[distance];
      if (found) return found.text;
      this.#upcoming.push(this.#scan());
    }
  }

  /** Takes the next word if it is this one. */
  takes(text: string): boolean {
    if (this.peek() !== text) return false;
    this.#next();
    return true;
  }

  expect(text: string): void {
    const found = this.#next();
    if (found !== text) throw this.error(quote(text), quote(found));
  }

  expectEnd(): void {
    const found = this.#next();
    if (found !== '') throw this.error('the end', quote(found));
  }

  identifier(): string {
    const found = this.#next();
    if (!/^[A-Za-z_]/.test(found)) throw this.error('a name', quote(found));
    return found;
  }

  /** A text in quotation marks. */
  string(): string {
    const found = this.#next();
    if (!found.startsWith('"')) throw this.error('a text', quote(found));
    return found.slice(1, -1).replaceAll(/\\(.)/g, (_match, letter: string) => escapes[letter] ?? letter);
  }

  integer(): number {
    const found = this.#next();
    const value = /^[+-]?\d+$/.test(found) ? Number(found) : Number.NaN;
    if (!Number.isSafeInteger(value)) throw this.error('an integer below 2^53', quote(found));
    return value;
  }

  fraction(): number {
    const found = this.#next();
    const value = spelledOut.get(found) ?? parseFloatText(found);
    if (value === undefined) throw this.error('a number', quote(found));
    return value;
  }

  /** Parses the items between two brackets, separated by commas. */
  list<T>(open: string, close: string, parse: () => T): T[] {
    this.expect(open);
    const items: T[] = [];
    if (this.takes(close)) return items;
    do items.push(parse());
    while (this.takes(','));
    this.expect(close);
    return items;
  }

  /** Makes the error for an unexpected word: the last one taken. */
  error(expected: string, found: string): FileFormatError {
    const before = this.#text.slice(0, this.#last.at).split('\n');
    return new FileFormatError({
      problem: `${this.#file} cannot be read as the text of an ML Program.`,
      details: {
        at: `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`,
        expected,
        found,
      },
      advice: 'It is damaged, or written by a tool that spells programs differently: get the model again.',
    });
  }

  #next(): string {
    this.peek();
    this.#last = this.#upcoming.shift() ?? this.#last;
    return this.#last.text;
  }

  #scan(): Token {
    space.lastIndex = this.#at;
    space.test(this.#text);
    const at = space.lastIndex;
    if (at >= this.#text.length) return { text: '', at };
    word.lastIndex = at;
    const text = word.exec(this.#text)?.[0];
    if (text === undefined) {
      this.#last = { text: '', at };
      throw this.error('a word, a number or a bracket', quote(this.#text.charAt(at)));
    }
    this.#at = at + text.length;
    return { text, at };
  }
}

const space = /\s*/y;

/** A text, a number (of which `fraction` and `integer` are stricter judges), a name or a sign. */
const word =
  /"[^"\\]*(?:\\.[^"\\]*)*"|->|-inf\b|[+-]?\d(?:[eEpP][+-]|[\w.])*|[A-Za-z_][\w@]*|[()[\]{}<>,;=?]/y;

const spelledOut: ReadonlyMap<string, number> = new Map([
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['nan', Number.NaN],
]);

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

function quote(text: string): string {
  if (text === '') return 'the end';
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}
