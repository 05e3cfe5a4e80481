import type { Pixels } from '../messages.ts';

/** Pictures narrower than this are shown in large pixels instead of blurred. */
const SMALL = 256;

/** `<drawn-picture>`: the picture, with what it shows as its text for those who do not see it. */
export class DrawnPicture extends HTMLElement {
  readonly #canvas = document.createElement('canvas');
  readonly #caption = document.createElement('figcaption');

  /** Name that the picture is saved under. */
  fileName = 'picture.png';

  connectedCallback(): void {
    const figure = document.createElement('figure');
    this.#canvas.setAttribute('role', 'img');
    this.#canvas.setAttribute('aria-label', 'No picture yet');
    figure.append(this.#canvas, this.#caption);
    this.replaceChildren(figure);
  }

  /** Shows a picture; `text` says what it is. */
  show(picture: Pixels, text: string): void {
    const { width, height } = picture;
    Object.assign(this.#canvas, { width, height });
    this.#canvas.style.aspectRatio = `${width} / ${height}`;
    this.#canvas.classList.toggle('small', width < SMALL);
    this.#canvas.setAttribute('aria-label', text);
    this.#canvas.getContext('2d')?.putImageData(new ImageData(opaque(picture), width, height), 0, 0);
  }

  set caption(text: string) {
    this.#caption.textContent = text;
  }

  /** The picture as a PNG file. */
  png(): Promise<Blob | null> {
    return new Promise((resolve) => this.#canvas.toBlob(resolve, 'image/png'));
  }
}

/** RGBA. */
function opaque({ channels, data }: Pixels): Uint8ClampedArray<ArrayBuffer> {
  if (channels === 4) return new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
  const pixels = new Uint8ClampedArray((data.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4)
    pixels.set(data.subarray(from, from + 3), to);
  return pixels;
}
