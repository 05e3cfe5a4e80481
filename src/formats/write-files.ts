import { join } from 'node:path';
import { HashedFile } from '../io/hashing/write-hashed.ts';
import { countedBytes, type TensorStream } from '../weights/tensor-stream.ts';
import type { FileContents, OnBytes, WrittenFile } from './artifact.ts';

/** Files to be written into one folder. */
export interface FolderContents {
  readonly folder: string;
  readonly files: readonly FileContents[];
  readonly onBytes: OnBytes;
}

/** Writes files into a folder, each from beginning to end. Throws `DiskSpaceError`, and what the parts' streams throw. */
export async function writeFiles(
  folder: string,
  files: readonly FileContents[],
  onBytes: OnBytes,
): Promise<readonly WrittenFile[]> {
  const [written = []] = await writeTogether([{ folder, files, onBytes }]);
  return written;
}

/**
 * Writes the files of several folders in one pass: a tensor that belongs into more than one folder is streamed once, as far as the
 * order of the files allows. `onTensor` is called after each tensor with the folders it was written to. Throws as `writeFiles` does.
 */
export async function writeTogether<F extends FolderContents>(
  folders: readonly F[],
  onTensor: (takers: readonly F[]) => void = () => {},
): Promise<readonly (readonly WrittenFile[])[]> {
  const walks = folders.map((each) => new FolderWalk(each));
  try {
    for (let [tensor, takers] = nextTensor(walks); tensor; [tensor, takers] = nextTensor(walks)) {
      for (const walk of walks) walk.prepare();
      for (const walk of takers) await walk.begin();
      for await (const block of countedBytes(tensor)) for (const walk of takers) await walk.take(block);
      for (const walk of takers) await walk.end();
      onTensor(takers.map(({ contents }) => contents));
    }
    return walks.map(({ written }) => written);
  } catch (error) {
    for (const walk of walks) await walk.discard();
    throw error;
  }
}

/** Chooses the tensor to stream next and the folders that take it. A tensor that another folder needs later waits, unless all wait for each other. */
function nextTensor<F extends FolderContents>(
  walks: readonly FolderWalk<F>[],
): [TensorStream | undefined, readonly FolderWalk<F>[]] {
  const going = walks.filter(({ next }) => next);
  const takersOf = ({ next }: FolderWalk<F>) => going.filter((walk) => walk.next?.stream === next?.stream);
  const isWanted = ({ next }: FolderWalk<F>) =>
    going.some((walk) => walk.next?.stream !== next?.stream && walk.wants(next));
  const leader = going.find((walk) => !isWanted(walk)) ?? going[0];
  return leader ? [leader.next, takersOf(leader)] : [undefined, []];
}

/** Two weights with their palettes ahead: a weight's indices and palette, and in Core ML's files their records. */
const AHEAD = 9;

/** Writes the parts of one folder's files in order. */
class FolderWalk<F extends FolderContents> {
  readonly contents: F;
  readonly written: WrittenFile[] = [];
  /** Streams of all parts that are not written yet. */
  readonly #wanted: Set<TensorStream['stream']>;
  #file: HashedFile | undefined;
  #at = 0;
  #position = 0;

  constructor(contents: F) {
    this.contents = contents;
    this.#wanted = new Set(contents.files.flatMap(({ parts }) => parts.map(({ tensor }) => tensor.stream)));
  }

  /** The tensor of the next part. */
  get next(): TensorStream | undefined {
    return this.#current?.parts[this.#at]?.tensor;
  }

  get #current(): FileContents | undefined {
    return this.contents.files[this.written.length];
  }

  /** Lets the tensors that follow the next one begin what takes them long. */
  prepare(): void {
    const parts = this.#current?.parts ?? [];
    for (const { tensor } of parts.slice(this.#at, this.#at + AHEAD)) tensor.prepare?.();
  }

  wants(tensor: TensorStream | undefined): boolean {
    return tensor !== undefined && this.#wanted.has(tensor.stream);
  }

  async begin(): Promise<void> {
    const { name = '', parts = [] } = this.#current ?? {};
    this.#file ??= await HashedFile.create(join(this.contents.folder, name));
    const offset = parts[this.#at]?.offset ?? 0;
    if (offset > this.#position) this.contents.onBytes(offset - this.#position);
    this.#position = offset;
  }

  async take(block: Uint8Array): Promise<void> {
    await this.#file?.write(block, this.#position);
    this.#position += block.length;
    this.contents.onBytes(block.length);
  }

  /** Moves to the next part; after the last one, completes the file and moves to the next file. */
  async end(): Promise<void> {
    if (this.next) this.#wanted.delete(this.next.stream);
    this.#at++;
    if (this.next || !this.#current || !this.#file) return;
    const { name, onWritten } = this.#current;
    const file = { name, ...(await this.#file.close()) };
    onWritten?.(file);
    this.written.push(file);
    this.#file = undefined;
    [this.#at, this.#position] = [0, 0];
  }

  async discard(): Promise<void> {
    await this.#file?.discard();
  }
}
