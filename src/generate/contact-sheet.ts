import { z } from 'zod';
import { checkArguments, size } from '../io/check-call.ts';
import { sheetCell } from './call-schemas.ts';
import type { Image } from './image.ts';
import { GLYPH_HEIGHT, GLYPH_WIDTH, glyphOf } from './label-glyphs.ts';

/** A picture on a sheet, and what is written below it. */
export interface SheetCell {
  readonly image: Image;
  readonly label?: string;
}

const [WHITE, BLACK] = [255, 0];

/** Pixels of a picture's width for each pixel that a dot of a letter is wide. */
const PIXELS_PER_DOT = 256;

/** Pictures beside and below each other on white, in so many columns, with their labels. An alpha channel is dropped. */
export function contactSheet(cells: readonly SheetCell[], columns: number): Image & { readonly channels: 3 } {
  checkArguments('contactSheet', { cells: [cells, z.array(sheetCell)], columns: [columns, size] });
  const [cellWidth, cellHeight] = [
    Math.max(...cells.map(({ image }) => image.width)),
    Math.max(...cells.map(({ image }) => image.height)),
  ];
  const dot = Math.max(1, Math.round(cellWidth / PIXELS_PER_DOT));
  const gap = 4 * dot;
  const lines = cells.map(({ label = '' }) =>
    linesOf(label, Math.floor(cellWidth / (dot * (GLYPH_WIDTH + 1)))),
  );
  const lineHeight = (GLYPH_HEIGHT + 2) * dot;
  const labelHeight = Math.max(...lines.map((each) => each.length)) * lineHeight;
  const rowHeight = cellHeight + (labelHeight > 0 ? gap + labelHeight : 0) + gap;
  const width = columns * (cellWidth + gap) + gap;
  const height = Math.ceil(cells.length / columns) * rowHeight + gap;
  const sheet = { width, height, channels: 3, data: new Uint8Array(width * height * 3).fill(WHITE) } as const;
  for (const [index, { image }] of cells.entries()) {
    const left = gap + (index % columns) * (cellWidth + gap);
    const top = gap + Math.floor(index / columns) * rowHeight;
    paste(image, sheet, left, top);
    for (const [line, text] of (lines[index] ?? []).entries())
      write(text, sheet, { left, top: top + cellHeight + gap + line * lineHeight, dot });
  }
  return sheet;
}

/** Words in lines of at most so many signs; longer words are broken. */
function linesOf(label: string, signs: number): string[] {
  const lines: string[] = [];
  for (const word of label.split(' ').filter((each) => each !== '')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= signs) {
      lines[lines.length - 1] = `${line} ${word}`;
      continue;
    }
    const size = Math.max(1, signs);
    for (let at = 0; at < word.length; at += size) lines.push(word.slice(at, at + size));
  }
  return lines;
}

function paste({ width, height, channels, data }: Image, into: Image, left: number, top: number): void {
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [x, y] = [left + (pixel % width), top + Math.floor(pixel / width)];
    into.data.set(data.subarray(pixel * channels, pixel * channels + 3), (y * into.width + x) * 3);
  }
}

function write(
  text: string,
  { width, data }: Image,
  { left, top, dot }: { readonly left: number; readonly top: number; readonly dot: number },
): void {
  for (const [at, sign] of [...text].entries())
    for (const [row, dots] of glyphOf(sign).entries())
      for (const [column, mark] of [...dots].entries()) {
        if (mark !== '#') continue;
        const x = left + (at * (GLYPH_WIDTH + 1) + column) * dot;
        for (let line = 0; line < dot; line++) {
          const start = ((top + row * dot + line) * width + x) * 3;
          data.fill(BLACK, start, start + 3 * dot);
        }
      }
}
