import type { ByteSink } from '../../io/bytes.ts';
import { countedBytes, type TensorStream } from '../../weights/tensor-stream.ts';

/**
 * Layout of an ONNX model's weights: in files beside it, so that the model itself stays small and runtimes can map
 * the weights into memory (onnx.proto, TensorProto.external_data).
 */

/** Place of a tensor's bytes. */
export interface Placement {
  /** File name, relative to the model. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** One data file: its name and exact size in bytes, its tensors by offset. Tensors with one stream share their place. */
export interface DataFile {
  readonly location: string;
  readonly byteLength: number;
  readonly tensors: readonly { readonly tensor: TensorStream; readonly offset: number }[];
}

/** Limit of browsers' buffers and of 32-bit offsets. */
export const MAX_DATA_FILE_BYTES = 2_000_000_000;

/** Tensors of at least a memory page begin on one, so that they can be mapped; smaller ones on a cache line. */
const PAGE = 4096;
const CACHE_LINE = 64;

/** Lays tensors out in order, those with one stream once, in files named `<stem>`, `<stem>_1`, … of at most `maxFileBytes` (a single larger tensor gets a file of its own). */
export function layOutTensors(
  tensors: readonly TensorStream[],
  stem: string,
  maxFileBytes = MAX_DATA_FILE_BYTES,
): DataFile[] {
  const files: {
    location: string;
    byteLength: number;
    tensors: { tensor: TensorStream; offset: number }[];
  }[] = [];
  const placed = new Map<TensorStream['stream'], { file: (typeof files)[number]; offset: number }>();
  for (const tensor of tensors) {
    const same = placed.get(tensor.stream);
    if (same) {
      same.file.tensors.push({ tensor, offset: same.offset });
      continue;
    }
    const alignment = alignmentOf(tensor);
    let file = files.at(-1);
    if (!file || alignUp(file.byteLength, alignment) + tensor.byteLength > maxFileBytes) {
      file = { location: files.length === 0 ? stem : `${stem}_${files.length}`, byteLength: 0, tensors: [] };
      files.push(file);
    }
    const offset = alignUp(file.byteLength, alignment);
    file.tensors.push({ tensor, offset });
    file.byteLength = offset + tensor.byteLength;
    placed.set(tensor.stream, { file, offset });
  }
  for (const { tensors: those } of files) those.sort((a, b) => a.offset - b.offset);
  return files;
}

/** Writes the tensors of a data file to their places; `onBytes` gets the size of each block. */
export async function writeTensors(
  sink: Pick<ByteSink, 'write'>,
  { tensors }: Pick<DataFile, 'tensors'>,
  onBytes: (count: number) => void = () => {},
): Promise<void> {
  for (const { tensor, offset } of tensors) {
    let position = offset;
    for await (const block of countedBytes(tensor)) {
      await sink.write(block, position);
      position += block.length;
      onBytes(block.length);
    }
  }
}

/** Each tensor's place, by name. */
export function placements(files: readonly DataFile[]): ReadonlyMap<string, Placement> {
  const found = new Map<string, Placement>();
  for (const { location, tensors } of files) {
    for (const { tensor, offset } of tensors)
      found.set(tensor.name, { location, offset, length: tensor.byteLength });
  }
  return found;
}

/** Largest size that a tensor adds to a file: the gap before it and its bytes. */
export function storedSize(tensor: TensorStream): number {
  return alignmentOf(tensor) - 1 + tensor.byteLength;
}

function alignmentOf({ byteLength }: TensorStream): number {
  return byteLength >= PAGE ? PAGE : CACHE_LINE;
}

function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}
