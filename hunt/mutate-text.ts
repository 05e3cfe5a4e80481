import type { Mutator } from './format.ts';
import { LARGEST_INPUT, oddNumber } from './mutate-bytes.ts';
import type { Random } from './random.ts';

/** Texts that programs like to get wrong: names of JavaScript's own, paths, control characters, length. */
export const oddTexts: readonly string[] = [
  ...[
    '',
    ' ',
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    'length',
    'null',
    'NaN',
    '-0',
    '1e999',
  ],
  ...['..', '../../escape', '/etc/passwd', 'C:\\x', 'a/b', '.', 'con', '%2e%2e%2f', '*', '[', '(?:', '\\'],
  ...['\x1b]0;owned\x07', '\u0000', '\u202e', '\ud800', '\n', '\r\n', '\t', 'é', '你好', '🙂', '\ufeff'],
  ...['x'.repeat(300), 'a'.repeat(5000), '9'.repeat(400), '$&', '@model_path/weights/weight.bin'],
];

/** A number as text: whole, broken, huge, or none. */
export function oddNumberText(random: Random): string {
  return random.oneIn(3)
    ? random.pick(['-1', '0.5', '1e308', '1e-320', '-0', 'NaN', 'inf', '1e999', '0x10', '1_000', '٣'])
    : String(oddNumber(random));
}

/** Changes a text word by word: words are left out, repeated, moved, or become others of the text or of `vocabulary`. */
export function mutateWords(vocabulary: readonly string[] = []): Mutator {
  return (bytes, random) => {
    const words = new TextDecoder().decode(bytes).match(/\w+|\s+|[^\w\s]/g) ?? [''];
    const at = random.below(words.length);
    const end = Math.min(words.length, at + random.length(Math.min(words.length, 200)));
    const piece = words.slice(at, end);
    const other = (): string => {
      if (random.oneIn(3)) return random.pick(words);
      if (random.oneIn(2) && vocabulary.length > 0) return random.pick(vocabulary);
      return random.oneIn(2) ? oddNumberText(random) : random.pick(oddTexts);
    };
    switch (random.below(7)) {
      case 0:
        words.splice(at, piece.length);
        break;
      case 1:
        words.splice(end, 0, ...piece);
        break;
      case 2:
        words.splice(random.below(words.length), 0, ...piece);
        break;
      case 3:
        words.splice(at, piece.length, ...piece.toReversed());
        break;
      case 4:
        words.splice(at, 1, repeatedText(piece.join(''), random));
        break;
      default:
        words.splice(at, 1, other());
    }
    return new TextEncoder().encode(words.join('')).slice(0, LARGEST_INPUT);
  };
}

/** A piece of text many times. */
function repeatedText(piece: string, random: Random): string {
  const most = Math.max(1, Math.floor(LARGEST_INPUT / 4 / Math.max(1, piece.length)));
  return piece.repeat(Math.min(most, random.length(100_000)));
}
