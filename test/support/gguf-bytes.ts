/** Writes GGUF files for tests, right ones and wrong ones: each number stands where it is given. */

export interface GgufTensorBytes {
  readonly name: string;
  /** Innermost first, as the format has them. */
  readonly sizes: readonly (number | bigint)[];
  /** The number of the type: 0 is F32. */
  readonly type?: number;
  /** From the beginning of the data; without it, behind the tensor before. */
  readonly place?: number | bigint;
  readonly data?: Uint8Array;
}

export interface GgufParts {
  readonly version?: number;
  /** Keys and values as bytes, from `value`. */
  readonly values?: readonly Uint8Array[];
  readonly tensors?: readonly GgufTensorBytes[];
  /** What the file says of its number of tensors and values, where that is to be wrong. */
  readonly counts?: readonly [number | bigint, number | bigint];
  readonly alignment?: number;
}

/** A whole file. */
export function ggufFile({
  version = 3,
  values = [],
  tensors = [],
  counts,
  alignment = 32,
}: GgufParts): Uint8Array {
  const blobs: Uint8Array[] = [];
  let end = 0;
  const entries = tensors.map(({ name, sizes, type = 0, place, data = new Uint8Array() }) => {
    const at = place ?? end;
    blobs.push(data, new Uint8Array((alignment - (data.length % alignment)) % alignment));
    end += Math.ceil(data.length / alignment) * alignment;
    return joined(text(name), u32(sizes.length), ...sizes.map(u64), u32(type), u64(at));
  });
  const [tensorCount, valueCount] = counts ?? [tensors.length, values.length];
  const header = joined(
    new TextEncoder().encode('GGUF'),
    u32(version),
    u64(tensorCount),
    u64(valueCount),
    ...values,
    ...entries,
  );
  const padding = new Uint8Array((alignment - (header.length % alignment)) % alignment);
  return joined(header, padding, ...blobs);
}

/** A key, the number of its type and the value's bytes. */
export function value(key: string, type: number, ...bytes: readonly Uint8Array[]): Uint8Array {
  return joined(text(key), u32(type), ...bytes);
}

export function text(content: string): Uint8Array {
  const bytes = new TextEncoder().encode(content);
  return joined(u64(bytes.length), bytes);
}

export function u32(number: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(number).buffer);
}

export function u64(number: number | bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(number)).buffer);
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
