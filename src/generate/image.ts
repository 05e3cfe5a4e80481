/** A picture of 8-bit sRGB pixels, row by row from the top, without padding. */
export interface Image {
  readonly width: number;
  readonly height: number;
  /** 3: RGB. 4: RGBA, alpha not premultiplied. */
  readonly channels: 3 | 4;
  /** `width · height · channels` bytes. */
  readonly data: Uint8Array;
}
