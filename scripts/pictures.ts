import type { Image } from '../src/generate/image.ts';
import { decodePng, encodePng } from '../src/generate/png.ts';
import { openFile, writeFile } from '../src/io/disk.ts';

/** Pictures of one size in rows, each pixel `scale` times as large; a row may be shorter than others. */
export function sheet(rows: readonly (readonly Image[])[], scale: number): Image & { channels: 3 } {
  const [{ width, height } = { width: 0, height: 0 }] = rows.flat();
  const columns = Math.max(...rows.map((row) => row.length));
  const [sheetWidth, sheetHeight] = [width * columns * scale, height * rows.length * scale];
  const data = new Uint8Array(sheetWidth * sheetHeight * 3).fill(255);
  for (let i = 0; i < data.length; i++) {
    const [pixel, channel] = [Math.floor(i / 3), i % 3];
    const [x, y] = [Math.floor((pixel % sheetWidth) / scale), Math.floor(pixel / sheetWidth / scale)];
    const image = rows[Math.floor(y / height)]?.[Math.floor(x / width)];
    if (image) data[i] = image.data[((y % height) * width + (x % width)) * image.channels + channel] ?? 0;
  }
  return { width: sheetWidth, height: sheetHeight, channels: 3, data };
}

export async function readPng(path: string): Promise<Image> {
  const source = await openFile(path);
  const bytes = new Uint8Array(source.size);
  await source.read(bytes, 0);
  await source.close();
  return decodePng(bytes, path);
}

export async function writePng(path: string, image: Image & { channels: 3 }): Promise<void> {
  await writeFile(path, (sink) => sink.write(encodePng(image), 0));
}
