import { UnsupportedModelError } from '../errors.ts';
import { borrowBlock, returnBlocks } from '../io/block-pool.ts';
import { BLOCK_BYTES, type ByteSource } from '../io/bytes.ts';
import { blockConverter } from './convert-dtype.ts';
import { byteWidth, type DType, elementCount } from './dtype.ts';
import type { Weight } from './weight.ts';

/** A way of packing numbers into blocks of bytes, each with its own scales: the quantised types of GGUF. */
export interface BlockCoding {
  /** Name of the type: `Q4_K`. */
  readonly name: string;
  /** Elements of one block. */
  readonly elements: number;
  /** Bytes of one block. */
  readonly bytes: number;
  /** Unpacks whole blocks: `packed` holds n × `bytes`, `values` takes n × `elements`. */
  readonly decode: (packed: Uint8Array, values: Float32Array) => void;
}

/** Place of a tensor of packed blocks. Its elements are a whole number of blocks. */
export interface CodedTensor extends Pick<Weight, 'name' | 'shape' | 'file'> {
  readonly coding: BlockCoding;
  readonly source: ByteSource;
  readonly offset: number;
}

/** A tensor of packed blocks as a weight: of float32, and unpacked a block of `BLOCK_BYTES` at a time. */
export function codedWeight(tensor: CodedTensor): Weight {
  const { name, shape, file, coding } = tensor;
  const bits = (8 * coding.bytes) / coding.elements;
  return {
    name,
    dtype: 'f32',
    shape,
    file,
    coding: { name: coding.name, bits },
    stream: (to) => streamCoded(tensor, to),
  };
}

async function* streamCoded(tensor: CodedTensor, to: DType): AsyncGenerator<Uint8Array> {
  const { coding, source, offset } = tensor;
  const convert = blockConverter('f32', to);
  if (!convert) throw notConvertible(tensor, to);

  const blocks = elementCount(tensor.shape) / coding.elements;
  const perRead = Math.floor(BLOCK_BYTES / (4 * coding.elements));
  const buffers = [borrowBlock(), borrowBlock(), ...(to === 'f32' ? [] : [borrowBlock()])] as const;
  const [packed, unpacked, converted = unpacked] = buffers;
  try {
    for (let first = 0; first < blocks; first += perRead) {
      const count = Math.min(perRead, blocks - first);
      const input = packed.subarray(0, count * coding.bytes);
      await source.read(input, offset + first * coding.bytes);
      const elements = count * coding.elements;
      coding.decode(input, new Float32Array(unpacked.buffer, unpacked.byteOffset, elements));
      const output = converted.subarray(0, elements * byteWidth(to));
      if (to !== 'f32') convert(unpacked.subarray(0, 4 * elements), output);
      yield output;
    }
  } finally {
    returnBlocks(...buffers);
  }
}

function notConvertible({ name, file, coding }: CodedTensor, to: DType): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name} is stored as ${coding.name}, which does not convert to ${to}.`,
    details: { file },
    advice: 'Use a version of the model whose weights are float16, bfloat16 or float32.',
  });
}
