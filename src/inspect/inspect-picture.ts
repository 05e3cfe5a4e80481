import { basename, resolve } from 'node:path';
import { readBytes } from '../io/disk.ts';
import { isPng, LARGEST_PICTURE } from '../io/png-signature.ts';
import { textsIn } from '../io/png-text.ts';
import type { PictureInspection } from './inspection.ts';
import { nextCommand } from './next-command.ts';

/** Where the header has width and height. */
const [WIDTH, HEIGHT] = [16, 20];

/** Whether a file's first bytes are those of a PNG picture with its header. */
export function isPicture(start: Uint8Array): boolean {
  return start.length > HEIGHT + 4 && isPng(start);
}

/** Describes a PNG picture: its size, and what its texts say of how it was drawn. Throws what reading throws. */
export async function inspectPicture(path: string): Promise<PictureInspection> {
  const bytes = await readBytes(path, LARGEST_PICTURE);
  const header = new DataView(bytes.buffer);
  const texts = textsIn(bytes);
  const isDrawn = 'parameters' in texts;
  return {
    kind: 'picture',
    path,
    width: header.getUint32(WIDTH),
    height: header.getUint32(HEIGHT),
    texts,
    problems: isDrawn ? [] : [`${basename(resolve(path))} does not say how it was drawn.`],
    next: {
      ...nextCommand('generate', '-i', 'OUT', '--prompt', 'PROMPT', '--image', path),
      where: 'OUT is a conversion’s output folder, and PROMPT says what the picture should show.',
    },
  };
}
