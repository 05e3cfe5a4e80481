import type { Pixels } from '../messages.ts';

const DEFAULT_STRENGTH = '0.5';

/** `<picture-drop>`: takes a picture to start from, dropped, pasted or chosen, and how much of it is redrawn. */
export class PictureDrop extends HTMLElement {
  #picture: ImageBitmap | undefined;
  readonly #file = input({ type: 'file', accept: 'image/*' });
  readonly #strength = input({ type: 'number', min: '0.05', max: '1', step: 'any', value: DEFAULT_STRENGTH });
  readonly #shown = document.createElement('img');
  readonly #remove = document.createElement('button');
  readonly #error = document.createElement('span');

  connectedCallback(): void {
    this.#shown.alt = 'The picture to start from';
    this.#error.setAttribute('role', 'alert');
    Object.assign(this.#remove, { type: 'button', textContent: 'Start without it' });
    this.replaceChildren(
      labelled('Start from a picture (choose, drop or paste it)', this.#file),
      this.#shown,
      labelled('Share to redraw (0 to 1)', this.#strength),
      this.#remove,
      this.#error,
    );
    this.#show();
    this.#file.addEventListener('change', () => void this.#take(this.#file.files?.[0]));
    this.#remove.addEventListener('click', () => this.clear());
    // Anywhere: browsers open a file that is dropped beside in the place of the page.
    for (const type of ['dragover', 'dragleave', 'drop'] as const)
      document.addEventListener(type, (event) => {
        if (!event.dataTransfer?.types.includes('Files')) return; // a text, which fields take
        event.preventDefault();
        this.classList.toggle('over', type === 'dragover');
        if (type === 'drop') this.#give(event.dataTransfer);
      });
    document.addEventListener('paste', (event) => this.#give(event.clipboardData));
  }

  /** Takes the first file of what was dropped or pasted, unless no model encodes pictures. */
  #give(data: DataTransfer | null): void {
    if (!this.hidden) void this.#take(data?.files[0]);
  }

  /** Removes the picture. */
  clear(): void {
    this.#picture = undefined;
    this.#file.value = '';
    this.#show();
  }

  /** The picture in a size, its middle where the shape is another, and the strength; `undefined` where there is none. */
  start(width: number, height: number): { readonly image: Pixels; readonly strength: number } | undefined {
    const picture = this.#picture;
    if (!picture) return undefined;
    const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    if (!context) return undefined;
    const scale = Math.max(width / picture.width, height / picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    context.imageSmoothingQuality = 'high';
    context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length); // as: never a shared one
    return { image: { width, height, channels: 4, data: pixels }, strength: Number(this.#strength.value) };
  }

  async #take(file: File | undefined): Promise<void> {
    if (!file) return;
    this.#error.textContent = '';
    try {
      this.#picture = await createImageBitmap(file);
      URL.revokeObjectURL(this.#shown.src);
      this.#shown.src = URL.createObjectURL(file);
    } catch {
      this.#error.textContent = `${file.name} is no picture that this browser can read.`;
    }
    this.#show();
  }

  #show(): void {
    for (const part of [this.#shown, this.#strength.parentElement, this.#remove])
      if (part) part.hidden = !this.#picture;
  }
}

function input(attributes: Readonly<Record<string, string>>): HTMLInputElement {
  const element = document.createElement('input');
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function labelled(text: string, element: HTMLElement): HTMLLabelElement {
  const label = document.createElement('label');
  label.append(text, element);
  return label;
}
