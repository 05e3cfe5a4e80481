import type { ByteSource } from '../../io/bytes.ts';

/** Size of one read. */
const WINDOW_BYTES = 1 << 16;

/** Thrown when a source is shorter than its own header says. */
export class SourceEndsError extends Error {}

/**
 * Reads numbers and texts from the start of a source on, a window at a time. No length from the source is believed
 * before it is compared with what is left of it. Throws `SourceEndsError` where it ends too early.
 */
export class SourceCursor {
  /** Offset of the next read. */
  at = 0;
  readonly #source: ByteSource;
  #window: Uint8Array = new Uint8Array();
  #start = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Bytes from here to the end. */
  get left(): number {
    return this.#source.size - this.at;
  }

  async u32(): Promise<number> {
    return (await this.#view(4)).getUint32(0, true);
  }

  /** A number of 64 bits; rounded beyond 2⁵³, where it is only good for being too large. */
  async u64(): Promise<number> {
    return Number((await this.#view(8)).getBigUint64(0, true));
  }

  /** A number of one of the widths and kinds that `DataView` reads. */
  async number<T>(width: number, read: (view: DataView) => T): Promise<T> {
    return read(await this.#view(width));
  }

  /** A text of UTF-8 with its length in 64 bits before it; longer ones are passed over and `undefined`. */
  async text(longest: number): Promise<string | undefined> {
    const length = await this.u64();
    if (length > longest) {
      this.skip(length);
      return undefined;
    }
    const { buffer, byteOffset } = await this.#view(length);
    return new TextDecoder().decode(new Uint8Array(buffer, byteOffset, length));
  }

  skip(count: number): void {
    if (!(count <= this.left)) throw new SourceEndsError();
    this.at += count;
  }

  /** A view of the next bytes, at most a window of them. */
  async #view(count: number): Promise<DataView> {
    if (count > this.left) throw new SourceEndsError();
    if (this.at < this.#start || this.at + count > this.#start + this.#window.length) {
      this.#window = new Uint8Array(Math.min(WINDOW_BYTES, this.left));
      this.#start = this.at;
      await this.#source.read(this.#window, this.at);
    }
    const offset = this.#window.byteOffset + this.at - this.#start;
    this.at += count;
    return new DataView(this.#window.buffer, offset, count);
  }
}
