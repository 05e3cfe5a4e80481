import { z } from 'zod';
import { anything, bytes, checkArguments } from './check-call.ts';
import { isPng, SIGNATURE_BYTES } from './png-signature.ts';

/**
 * Texts in PNG files (W3C Recommendation, third edition, 11.3.3): `tEXt` for Latin-1, `iTXt` for any other. fast-png has the
 * first only.
 */

/** Length and type before a chunk's content, checksum after it. */
const [BEFORE, AFTER] = [8, 4];

/** Longest keyword, in bytes. */
const LONGEST_KEYWORD = 79;
/** Programs write some thousand bytes into a chunk; of empty ones, a file could have millions. */
export const MOST_CHUNKS = 100_000;
/** A function takes so many arguments on every stack. */
const PIECE = 1 << 12;

const textsSchema = z.record(
  z.string().regex(/^[\x20-\x7e\xa1-\xff]{1,79}$/, 'expected 1 to 79 signs of Latin-1'),
  z.string(),
);

/** Whether a file begins as a PNG does, and has a header. */
function isPngFile(value: object): boolean {
  return value instanceof Uint8Array && isPng(value) && value.length >= SIGNATURE_BYTES + BEFORE + AFTER;
}

const latin1 = (text: string) => Uint8Array.from(text, (sign) => sign.charCodeAt(0));

function fromLatin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += PIECE)
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE));
  return text;
}

/** A PNG file with texts by keyword, behind its header. Throws `RequestError` for what is no PNG, and for no keyword. */
export function withTexts(png: Uint8Array, texts: Readonly<Record<string, string>>): Uint8Array {
  checkArguments('withTexts', { png: [png, anything('a PNG file', isPngFile)], texts: [texts, textsSchema] });
  const header = SIGNATURE_BYTES + BEFORE + lengthAt(png, SIGNATURE_BYTES) + AFTER;
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return joined([png.subarray(0, header), ...chunks, png.subarray(header)]);
}

/** The texts in a PNG file, by keyword; compressed ones are left out. Damaged chunks end the search, and so do very many. */
export function textsIn(png: Uint8Array): Record<string, string> {
  checkArguments('textsIn', { png: [png, bytes] });
  const texts = new Map<string, string>();
  for (let at = SIGNATURE_BYTES, chunks = 0; at + BEFORE <= png.length && chunks < MOST_CHUNKS; chunks++) {
    const end = at + BEFORE + lengthAt(png, at);
    if (end > png.length) break;
    const type = fromLatin1(png.subarray(at + 4, at + BEFORE));
    const found = readText(type, png.subarray(at + BEFORE, end));
    if (found) texts.set(found.keyword, found.text);
    at = end + AFTER;
  }
  return Object.fromEntries(texts);
}

function readText(type: string, content: Uint8Array): { keyword: string; text: string } | undefined {
  const end = content.subarray(0, LONGEST_KEYWORD + 1).indexOf(0);
  if (end < 1 || (type !== 'tEXt' && type !== 'iTXt')) return undefined;
  const keyword = fromLatin1(content.subarray(0, end));
  const rest = content.subarray(end + 1);
  if (type === 'tEXt') return { keyword, text: fromLatin1(rest) };
  const [isCompressed] = rest;
  const language = rest.indexOf(0, 2);
  const translated = rest.indexOf(0, language + 1);
  if (isCompressed !== 0 || language < 0 || translated < 0) return undefined;
  return { keyword, text: new TextDecoder().decode(rest.subarray(translated + 1)) };
}

function textChunk(keyword: string, text: string): Uint8Array {
  const isLatin1 = /^[\n\x20-\x7e\xa0-\xff]*$/.test(text);
  const content = isLatin1
    ? joined([latin1(`${keyword}\0`), latin1(text)])
    : joined([latin1(`${keyword}\0\0\0\0\0`), new TextEncoder().encode(text)]);
  const typed = joined([latin1(isLatin1 ? 'tEXt' : 'iTXt'), content]);
  return joined([bigEndian(content.length), typed, bigEndian(checksum(typed))]);
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}

function bigEndian(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** CRC-32 (ISO 3309), bit by bit: texts are short. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
