import { FileFormatError } from '../../errors.ts';
import { quote } from '../../io/error-text.ts';
import { byteSize } from '../../weights/dtype.ts';
import { dtypeOf, EXTERNAL, type GraphProto, type TensorProto, toNumber } from './proto.ts';

/** TensorProto.DataType of numbers of 4 bits, two a byte: UINT4, INT4, FLOAT4E2M1. */
const HALF_BYTES: ReadonlySet<number> = new Set([21, 22, 23]);

/** Bytes of a tensor by its dims and type; `undefined` for types that sdconvert does not know. */
export function declaredBytes({ dims, dataType }: TensorProto): number | undefined {
  const shape = (dims ?? []).map(toNumber);
  if (HALF_BYTES.has(dataType ?? 0)) return Math.ceil(byteSize(shape, 'u8') / 2);
  const dtype = dtypeOf(dataType ?? 0);
  return dtype && byteSize(shape, dtype);
}

/** Refuses initializers that contradict themselves or each other. `path` is the model. Throws `FileFormatError`. */
export function verifyTensors({ initializer }: GraphProto, path: string): void {
  const names = new Set<string>();
  for (const tensor of initializer ?? []) {
    const name = tensor.name ?? '';
    if (names.has(name)) throw broken(path, 'two tensors have one name', name);
    names.add(name);
    const bytes = declaredBytes(tensor);
    const isSize = (tensor.dims ?? []).map(toNumber).every((size) => Number.isSafeInteger(size) && size >= 0);
    if (!isSize || (bytes !== undefined && !Number.isSafeInteger(bytes)))
      throw broken(path, 'a tensor has a size that none can have', name);
    if (tensor.dataLocation !== EXTERNAL && bytes !== undefined && !holds(tensor, bytes))
      throw broken(path, 'a tensor does not hold the elements that it declares', name);
  }
}

/** Whether the elements in the model itself are as many as declared (onnx.proto: raw, or in the list for their type). */
function holds({ rawData, dims, ...lists }: TensorProto, bytes: number): boolean {
  if (rawData?.length) return rawData.length === bytes;
  const { floatData, int32Data, int64Data, doubleData, uint64Data } = lists;
  const elements = (dims ?? []).map(toNumber).reduce((product, size) => product * size, 1);
  const found = [floatData, int32Data, int64Data, doubleData, uint64Data].map((list) => list?.length ?? 0);
  return Math.max(...found) === elements || (found.every((length) => length === 0) && bytes === 0);
}

function broken(path: string, what: string, name: string): FileFormatError {
  return new FileFormatError({
    problem: `${path} is not a valid ONNX model: ${what}.`,
    details: { tensor: quote(name) },
    advice: 'It is damaged, or was written by a faulty tool: get it again, or convert it again.',
  });
}
