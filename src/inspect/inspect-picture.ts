import { basename, resolve } from 'node:path';
import { openFile } from '../io/disk.ts';
import { textsIn } from '../io/png-text.ts';
import type { PictureInspection } from './inspection.ts';

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Where the header has width and height. */
const [WIDTH, HEIGHT] = [16, 20];

/** Whether a file's first bytes are those of a PNG picture with its header. */
export function isPicture(start: Uint8Array): boolean {
  return start.length > HEIGHT + 4 && SIGNATURE.every((byte, i) => start[i] === byte);
}

/** Describes a PNG picture: its size, and what its texts say of how it was drawn. Throws what reading throws. */
export async function inspectPicture(path: string): Promise<PictureInspection> {
  const file = await openFile(path);
  const bytes = new Uint8Array(file.size);
  await file.read(bytes, 0).finally(() => file.close());
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
    next: { advice: 'Begin with it: sdconvert generate --image FILE.' },
  };
}
