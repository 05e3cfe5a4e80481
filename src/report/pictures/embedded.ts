import type { Image } from '../../generate/image.ts';
import { encodePng } from '../../generate/png.ts';
import { resizeBicubic } from '../../generate/resize-bicubic.ts';

/** A picture of the page. */
export interface EmbeddedPicture {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Its width by that of the picture that was drawn: below 1, it was made smaller to fit into the page. */
  readonly scale: number;
  readonly png: Uint8Array;
}

/** Bytes that all pictures of a page may take as PNG; in base64 they are a third more, and a page has at most 2 MB. */
const MOST_BYTES = 1.3e6;

/** Pictures that fit into a page: as they are, or all made smaller by the same factor. */
export function embedded(pictures: ReadonlyMap<string, Image>): Map<string, EmbeddedPicture> {
  for (let scale = 1; ; scale /= 2) {
    const all = [...pictures].map(([name, image]) => asPng(name, image, scale));
    const bytes = all.reduce((sum, { png }) => sum + png.length, 0);
    if (bytes <= MOST_BYTES) return new Map(all.map((picture) => [picture.name, picture]));
  }
}

function asPng(name: string, image: Image, scale: number): EmbeddedPicture {
  const scaled = (side: number) => Math.max(1, Math.round(side * scale));
  const fitted = resizeBicubic(image, scaled(image.width), scaled(image.height));
  return { name, width: fitted.width, height: fitted.height, scale, png: encodePng(fitted) };
}
