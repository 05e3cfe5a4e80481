import type { Mutator } from '../format.ts';
import { littleEndian, mutateBytes, oddNumber, overwritten, spliced } from '../mutate-bytes.ts';
import { oddTexts } from '../mutate-text.ts';
import { bytesOf } from './seeds.ts';

/** Changes the numbers and texts of a GGUF file's header, where they are (github.com/ggml-org/ggml/blob/master/docs/gguf.md). */
export const mutateGgufNumbers: Mutator = (bytes, random) => {
  const fields = fieldsOf(bytes);
  if (fields.length === 0) return mutateBytes(bytes, random);
  const { at, width, text } = random.pick(fields);
  if (text === undefined) return overwritten(bytes, at, littleEndian(oddNumber(random), width));
  const other = bytesOf(random.pick(oddTexts));
  return spliced(bytes, at - 8, at + text, Buffer.concat([littleEndian(BigInt(other.length), 8), other]));
};

interface Field {
  readonly at: number;
  readonly width: number;
  /** Bytes of the text that follows. */
  readonly text?: number;
}

/** Widths of the types of values that are numbers. */
const widths: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const TEXT = 8;
const LIST = 9;

function fieldsOf(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields: Field[] = [];
  let at = 4;
  const number = (width: number): number => {
    fields.push({ at, width });
    at += width;
    return width === 8
      ? Number(view.getBigUint64(at - 8, true))
      : view.getUint32(Math.min(at - 4, at - width), true);
  };
  const text = (): void => {
    const length = number(8);
    fields.push({ at, width: 0, text: length });
    at += length;
  };
  const value = (type: number): void => {
    if (type === TEXT) text();
    else if (type === LIST) {
      const inner = number(4);
      for (let left = number(8); left > 0; left--) value(inner);
    } else number(widths[type] ?? 4);
  };
  try {
    number(4);
    const [tensors, values] = [number(8), number(8)];
    for (let n = 0; n < values; n++) {
      text();
      value(number(4));
    }
    for (let n = 0; n < tensors; n++) {
      text();
      for (let dimensions = number(4); dimensions > 0; dimensions--) number(8);
      number(4);
      number(8);
    }
  } catch {
    // Broken already: what was found before it can still be changed.
  }
  return fields.filter((field) => field.at < bytes.length);
}
