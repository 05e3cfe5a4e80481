import { memoryStream, type TensorStream } from '../../../weights/tensor-stream.ts';
import type { FilePart } from '../../artifact.ts';
import { type MilDType, milElement } from '../mil/mil-dtype.ts';

/**
 * `weight.bin`, Core ML's "blob storage" of version 2 (coremltools, mlmodel/src/MILBlob/Blob/StorageFormat.hpp):
 * a header of 64 bytes, then for each blob a record of 64 bytes that describes it, and its bytes. Records begin at
 * multiples of 64. All numbers are little-endian.
 */

/** A tensor as it is to be stored. */
export interface Blob extends TensorStream {
  readonly dtype: MilDType;
  /** Unused bits of the last byte, for elements that are narrower than a byte. */
  readonly paddingBits?: number;
}

/** A blob and where its record begins: the offset by which a program refers to it. */
export interface PlacedBlob {
  readonly blob: Blob;
  readonly offset: number;
}

/** Reference to the weight file of a program's package. */
export const WEIGHT_FILE_REFERENCE = '@model_path/weights/weight.bin';

const ALIGNMENT = 64;
const RECORD_BYTES = 64;
const VERSION = 2;
const SENTINEL = 0xdeadbeef;

/** The layout of a weight file, which grows as blobs are added; it holds no bytes. */
export class WeightFileLayout {
  readonly #placed: PlacedBlob[] = [];
  #byteLength = RECORD_BYTES;

  /** The blobs in the order of the file. */
  get placed(): readonly PlacedBlob[] {
    return this.#placed;
  }

  /** Exact size of the file. */
  get byteLength(): number {
    return this.#byteLength;
  }

  /** Places a blob at the end; gives the offset of its record. Throws `Error` for an element type that no blob can have. */
  add(blob: Blob): number {
    if (milElement(blob.dtype).blob === undefined)
      throw new Error(`${blob.name}: a weight file cannot hold ${blob.dtype}`);
    const offset = Math.ceil(this.#byteLength / ALIGNMENT) * ALIGNMENT;
    this.#placed.push({ blob, offset });
    this.#byteLength = offset + RECORD_BYTES + blob.byteLength;
    return offset;
  }
}

/** Largest size that a blob adds to a weight file: its record, its bytes and the gap before the next. */
export function storedSize({ byteLength }: TensorStream): number {
  return RECORD_BYTES + Math.ceil(byteLength / ALIGNMENT) * ALIGNMENT;
}

/** Returns the contents of a weight file. */
export function weightFileParts({ placed }: WeightFileLayout): FilePart[] {
  const start = memoryStream('header', header(placed.length));
  return [
    { offset: 0, tensor: start },
    ...placed.flatMap(({ blob, offset }) => [
      { offset, tensor: memoryStream(`${blob.name}, record`, record(blob, offset)) },
      { offset: offset + RECORD_BYTES, tensor: blob },
    ]),
  ];
}

function header(count: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, count, true);
  view.setUint32(4, VERSION, true);
  return bytes;
}

/** Returns the record of a blob, for `offset`. */
function record({ dtype, byteLength, paddingBits = 0 }: Blob, offset: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SENTINEL, true);
  view.setUint32(4, milElement(dtype).blob ?? 0, true);
  view.setBigUint64(8, BigInt(byteLength), true);
  view.setBigUint64(16, BigInt(offset + RECORD_BYTES), true);
  view.setBigUint64(24, BigInt(paddingBits), true);
  return bytes;
}
