import { join } from 'node:path';
import { remove } from '../io/patient.ts';
import type { Scratch } from '../io/stages/scratch.ts';
import { type StoredTensor, storeTensor } from '../weights/stored-tensor.ts';
import type { TensorData } from '../weights/tensor-data.ts';

/** Values that wait in files until they are read. */
export class ValueStore {
  readonly #prefix: string;
  readonly #values = new Map<string, StoredTensor>();
  #files = 0;

  /** Keeps them in files whose names begin with `prefix`. */
  constructor(scratch: Scratch, prefix: string) {
    this.#prefix = join(scratch.path, prefix);
  }

  /** A path that no file has, nor any whose path begins so. */
  nextFile(): string {
    return `${this.#prefix}${this.#files++}-`;
  }

  /** Writes a value to a file. Throws `DiskSpaceError` when the disk is full. */
  async put(key: string, value: TensorData): Promise<void> {
    await this.keep(key, await storeTensor(value, this.nextFile()));
  }

  /** Keeps a value whose file is the store's from then on, in the place of one of this key. */
  async keep(key: string, value: StoredTensor): Promise<void> {
    await this.remove(key);
    this.#values.set(key, value);
  }

  get(key: string): StoredTensor {
    const value = this.#values.get(key);
    if (!value) throw new Error(`${key} was not computed`);
    return value;
  }

  async remove(key: string): Promise<void> {
    const value = this.#values.get(key);
    if (value) await remove(value.path);
    this.#values.delete(key);
  }

  async clear(): Promise<void> {
    for (const key of [...this.#values.keys()]) await this.remove(key);
  }
}
