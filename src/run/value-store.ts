import type { Scratch } from '../io/stages/scratch.ts';
import type { DType } from '../weights/dtype.ts';
import { bytesOf, copyOf, type TensorData, tensorOf } from '../weights/tensor-data.ts';

/** A value in a file. */
interface StoredValue {
  readonly file: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Values that wait to be read: in memory as far as they fit, in files beyond. */
export class ValueStore {
  readonly #scratch: Scratch;
  readonly #maxBytes: number;
  readonly #inMemory = new Map<string, TensorData>();
  readonly #inFiles = new Map<string, StoredValue>();
  #bytes = 0;
  #files = 0;

  /** Holds at most `maxBytes` in memory. */
  constructor(scratch: Scratch, maxBytes: number) {
    this.#scratch = scratch;
    this.#maxBytes = maxBytes;
  }

  /** Keeps a value, which is the store's from then on. Throws `DiskSpaceError` when the disk is full. */
  async put(key: string, value: TensorData): Promise<void> {
    if (this.#bytes + value.data.byteLength <= this.#maxBytes) {
      this.#inMemory.set(key, value);
      this.#bytes += value.data.byteLength;
      return;
    }
    const { dtype, shape } = value;
    const file = `value-${this.#files++}`;
    const sink = await this.#scratch.create(file);
    try {
      await sink.write(bytesOf(value), 0);
    } finally {
      await sink.close();
    }
    this.#inFiles.set(key, { file, dtype, shape });
  }

  /** Reads a value, a copy of its own for the caller; `undefined` where it was never put. */
  async read(key: string): Promise<TensorData | undefined> {
    const kept = this.#inMemory.get(key);
    if (kept) return copyOf(kept);
    return this.#readFile(key);
  }

  /** Reads a value for the last time. */
  async take(key: string): Promise<TensorData | undefined> {
    const kept = this.#inMemory.get(key);
    if (!kept) {
      const stored = await this.#readFile(key);
      const file = this.#inFiles.get(key)?.file;
      if (file !== undefined) await this.#scratch.remove(file);
      this.#inFiles.delete(key);
      return stored;
    }
    this.#inMemory.delete(key);
    this.#bytes -= kept.data.byteLength;
    return kept;
  }

  async #readFile(key: string): Promise<TensorData | undefined> {
    const stored = this.#inFiles.get(key);
    return stored && tensorOf(stored.dtype, stored.shape, await this.#scratch.read(stored.file));
  }
}
