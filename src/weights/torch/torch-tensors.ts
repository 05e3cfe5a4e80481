import { UnsupportedModelError } from '../../errors.ts';
import type { ByteRange, ByteSource } from '../../io/bytes.ts';
import { countBytes, excerpt, quote } from '../../io/error-text.ts';
import { byteWidth, elementCount } from '../dtype.ts';
import { readAt, streamTensor } from '../stream-tensor.ts';
import { streamStrided } from '../strided-tensor.ts';
import type { TensorsOfFile } from '../tensors-of-file.ts';
import type { Weight } from '../weight.ts';
import { brokenTorchFile } from './broken-torch-file.ts';
import type { PickledStorage, PickledTensor, PickleValue } from './pickle-value.ts';
import { namedTensors } from './torch-state-dict.ts';

/** torch has at most 64 dimensions. */
const MAX_DIMENSIONS = 64;

/** A tensor that is not stored row by row is read whole; the largest of the models converted here has 0.26 GB. */
const MAX_STRIDED_BYTES = 1 << 29;

/**
 * The weights of a torch file, given what its pickle holds and where its storages lie; each tensor is checked against its
 * storage. Throws `FileFormatError`, and `UnsupportedModelError` for a file without tensors and
 * for a huge tensor that is not stored row by row.
 */
export function torchTensors(
  root: PickleValue,
  storages: ReadonlyMap<string, ByteRange>,
  source: ByteSource,
): TensorsOfFile {
  const placed = [...namedTensors(root, source.name)]
    .map(([name, tensor]) => place(name, tensor, storages.get(tensor.storage.key), source))
    .sort((a, b) => a.offset - b.offset);
  const weights = new Map(placed.map(({ weight }) => [weight.name, weight]));
  return { metadata: {}, weights };
}

/** Checks that a storage is as long as the pickle says that it is. Throws `FileFormatError`. */
export function checkStorage({ key, dtype, elements }: PickledStorage, found: number, file: string): void {
  const expected = elements * byteWidth(dtype);
  if (found >= expected) return;
  throw brokenTorchFile(file, 'a storage is shorter than its tensors need', {
    storage: quote(key),
    expected: countBytes(expected),
    found: countBytes(found),
  });
}

function place(
  name: string,
  tensor: PickledTensor,
  storage: ByteRange | undefined,
  source: ByteSource,
): { readonly weight: Weight; readonly offset: number } {
  const file = source.name;
  const { dtype } = tensor;
  const width = byteWidth(dtype);
  const { offset: first, shape, strides } = tensor;
  if (!isSize(first) || !isShape(shape) || !isSizes(strides) || strides.length !== shape.length) {
    throw brokenTorchFile(file, 'the shape, strides or offset of a tensor is malformed', {
      tensor: quote(name),
      shape: listed(shape),
      strides: listed(strides),
      offset: listed([first]),
    });
  }
  const elements = elementCount(shape);
  const extent =
    elements === 0 ? 0 : shape.reduce((last, size, i) => last + (size - 1) * (strides[i] ?? 0), 1);
  // A tensor may not have more elements than its storage: repeated ones (stride 0) would make a small file endless.
  if (!storage || (first + extent) * width > storage.bytes || elements * width > storage.bytes) {
    throw brokenTorchFile(file, 'a tensor reaches beyond its storage', {
      tensor: quote(name),
      shape: excerpt(`[${shape}]`),
      strides: excerpt(`[${strides}]`),
      offset: String(first),
      storage: storage ? countBytes(storage.bytes) : 'missing',
    });
  }
  const offset = storage.offset + first * width;
  const described = { name, dtype, shape, file };
  if (elements === 0 || isRowMajor(shape, strides)) {
    const read = readAt(source, offset, dtype);
    return { offset, weight: { ...described, stream: (to) => streamTensor({ ...described, read }, to) } };
  }
  if (extent * width > MAX_STRIDED_BYTES) throw tooLargeToReorder(described, extent * width);
  const stored = { ...described, strides, offset, extent };
  return { offset, weight: { ...described, stream: (to) => streamStrided(stored, source, to) } };
}

/** Numbers as text; other values by their type only, since lists may be nested to any depth. */
function listed(values: readonly PickleValue[]): string {
  return values
    .slice(0, 12)
    .map((value) => (typeof value === 'number' ? value : `a ${typeof value}`))
    .join(', ');
}

/** Whether the elements lie one after another in the order of the shape; a stride along a size of 1 means nothing. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] ?? 1;
    if (size !== 1 && strides[axis] !== expected) return false;
    expected *= size;
  }
  return true;
}

function isSize(value: PickleValue): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isShape(values: readonly PickleValue[]): values is number[] {
  return isSizes(values) && Number.isSafeInteger(elementCount(values));
}

function isSizes(values: readonly PickleValue[]): values is number[] {
  return values.length <= MAX_DIMENSIONS && values.every(isSize);
}

function tooLargeToReorder(
  { name, file }: Pick<Weight, 'name' | 'file'>,
  bytes: number,
): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} has a tensor that is not stored row by row and is too large to put in order.`,
    details: {
      tensor: quote(name),
      expected: `at most ${countBytes(MAX_STRIDED_BYTES)}`,
      found: countBytes(bytes),
    },
    advice: 'Save it again with every tensor made contiguous, or use the .safetensors of the same model.',
  });
}
