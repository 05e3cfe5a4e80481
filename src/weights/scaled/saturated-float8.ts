import { UnsupportedModelError } from '../../errors.ts';
import { quote } from '../../io/error-text.ts';
import { count } from '../../text.ts';
import { blockConverter } from '../convert-dtype.ts';
import { byteWidth, type DType, elementCount } from '../dtype.ts';
import type { Weight } from '../weight.ts';

/** The largest number of each 8-bit float, and its code. */
const largest = { f8_e4m3: [448, 0x7e], f8_e5m2: [57344, 0x7b] } as const;

type Float8 = keyof typeof largest;

/** Whether a weight is of 8-bit floats. */
export function isFloat8(dtype: DType): dtype is Float8 {
  return Object.hasOwn(largest, dtype);
}

/**
 * A weight of 8-bit floats without scales, whose stream ends with `UnsupportedModelError` where numbers were cut off at
 * the largest: no weight of these models comes near it, so that it was made without the scales it needed, and its
 * pictures would be white.
 */
export function refusingSaturated(weight: Weight, dtype: Float8): Weight {
  return {
    ...weight,
    async *stream(to) {
      let saturated = 0;
      const count = counter(dtype, to);
      for await (const block of weight.stream(to)) {
        saturated += count(block);
        yield block;
      }
      if (saturated > 0) throw cutOff(weight, saturated, largest[dtype][0]);
    },
  };
}

/** Counts the largest number of `dtype`, of either sign, in blocks of `to`. */
function counter(dtype: Float8, to: DType): (block: Uint8Array) => number {
  const width = byteWidth(to);
  const converted = new Uint8Array(new ArrayBuffer(8), 0, width);
  blockConverter(dtype, to)?.(Uint8Array.of(largest[dtype][1]), converted);
  const sign = 2 ** (8 * width - 1);
  const wanted = wordsOf(converted, width)[0] ?? 0;
  return (block) => {
    let found = 0;
    for (const word of wordsOf(block, width)) if (word === wanted || word === wanted + sign) found++;
    return found;
  };
}

function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array, width: number) {
  if (width === 1) return new Uint8Array(buffer, byteOffset, byteLength);
  if (width === 2) return new Uint16Array(buffer, byteOffset, byteLength / 2);
  return new Uint32Array(buffer, byteOffset, byteLength / 4);
}

function cutOff({ name, file, shape }: Weight, found: number, limit: number): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} has 8-bit floats that were cut off: ${count(found, 'value')} of ${quote(name)} at ±${limit}, the largest there is.`,
    details: { values: elementCount(shape).toLocaleString('en-US') },
    advice:
      'It was made without scales, and draws nothing but white: use the float16 version of the model, or one with scales.',
  });
}
