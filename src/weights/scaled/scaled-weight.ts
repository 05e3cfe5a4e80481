import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import { excerpt, quote } from '../../io/error-text.ts';
import { type BlockConverter, blockConverter } from '../convert-dtype.ts';
import { byteWidth, type DType, dtypeName, elementCount, isFloat } from '../dtype.ts';
import { readTensor } from '../tensor-data.ts';
import type { Weight } from '../weight.ts';
import { scaleGrid } from './scale-grid.ts';
import { streamScaled } from './scaled-stream.ts';

/** Scales are in memory while their tensor streams: more of them than this (one for 16 of CLIP's embeddings) are none. */
const MOST_SCALES = 1 << 22;

/**
 * A weight whose elements are to be multiplied by `scale`: one for all, one for each of the first axis (output channels),
 * or for matrices one for each block. Products are float32, as ComfyUI's and diffusers' are. Throws `FileFormatError`
 * where the shapes do not fit.
 */
export function scaledWeight(weight: Weight, scale: Weight): Weight {
  const { name, dtype, shape, file } = weight;
  checkScale(weight, scale);
  const grid = scaleGrid(shape, scale.shape);
  if (!grid) throw otherShape(weight, scale);
  const decode = decoder(dtype);
  if (!decode) throw notScalable(weight);
  return {
    name,
    dtype: 'f32',
    coding: { name: `${dtypeName(dtype)} scaled`, bits: 8 * byteWidth(dtype) },
    shape,
    file,
    async *stream(to) {
      const { data: scales } = await readTensor(scale, 'f32');
      yield* streamScaled(
        { stored: weight.stream(dtype), width: byteWidth(dtype), decode, scales, grid },
        to,
      );
    },
  };
}

/** Checks scales by their dtypes and shapes, before they are read. Throws `FileFormatError`. */
export function checkScale(weight: Weight, scale: Weight): void {
  if (isFloat(scale.dtype) && elementCount(scale.shape) <= MOST_SCALES) return;
  throw otherShape(weight, scale);
}

/** The error for scales that do not fit their weight. */
export function otherShape(weight: Weight, scale: Weight): FileFormatError {
  return new FileFormatError({
    problem: `${scale.file} has a scale that does not fit its weight.`,
    details: {
      scale: `${quote(scale.name)}, ${dtypeName(scale.dtype)} ${excerpt(`[${scale.shape}]`)}`,
      weight: `${quote(weight.name)}, ${dtypeName(weight.dtype)} ${excerpt(`[${weight.shape}]`)}`,
    },
    advice: 'The file was written by a faulty tool: get it from another source, or use the float16 version.',
  });
}

/** Converter of the stored elements to float32; signed bytes are numbers here, as they have a scale. */
function decoder(dtype: DType): BlockConverter | undefined {
  return dtype === 'i8' ? widenInt8 : isFloat(dtype) ? blockConverter(dtype, 'f32') : undefined;
}

const widenInt8: BlockConverter = (source, target) => {
  const numbers = new Float32Array(target.buffer, target.byteOffset, source.length);
  numbers.set(new Int8Array(source.buffer, source.byteOffset, source.length));
};

function notScalable({ name, dtype, file }: Weight): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} holds scaled weights of a kind that is not known.`,
    details: { tensor: quote(name), found: dtypeName(dtype) },
    advice: 'Use the float16, bfloat16 or float32 version of the model.',
  });
}
