import type { Image } from '../../generate/image.ts';
import { decodePng } from '../../generate/png.ts';
import { openFile } from '../../io/disk.ts';

/** The picture in a PNG file. Throws `NotFoundError`, and `FileFormatError` for what is no PNG. */
export async function readPicture(path: string): Promise<Image> {
  const file = await openFile(path);
  const bytes = new Uint8Array(file.size);
  await file.read(bytes, 0).finally(() => file.close());
  return decodePng(bytes, path);
}
