import protobuf from 'protobufjs';

/** How messages become plain objects: 64-bit integers as numbers, fields that were left out as their defaults. */
export const plainForm: protobuf.IConversionOptions = { longs: Number, defaults: true };

/** protobufjs' decoder as it calls itself for a message within another, which its types do not tell. */
type Decode = (
  reader: protobuf.Reader | Uint8Array,
  length?: number,
  end?: unknown,
  depth?: number,
  /** The message to add to, where a file has one field twice. */
  begun?: object,
) => object;

/**
 * Has messages of a type become plain objects as each is decoded. Decoded as a whole and converted then, a program is in
 * memory twice.
 */
export function decodeAsPlain(type: protobuf.Type): void {
  const { decode, toObject } = codec(type);
  replace(type, (...given) => toObject(decode(...given)));
}

/** The same, and equal messages of a file are one object, which nobody may change: types repeat in every operation. */
export function decodeAsShared(type: protobuf.Type): void {
  const { decode, toObject } = codec(type);
  const known = new WeakMap<Uint8Array, Map<string, object>>();
  replace(type, (reader, length, end, depth, begun) => {
    if (!(reader instanceof protobuf.Reader) || length === undefined)
      return toObject(decode(reader, length, end, depth));
    if (begun) throw new Error(`a ${type.name} is given twice`);
    const { buf, pos } = reader;
    const objects = known.get(buf) ?? new Map<string, object>();
    known.set(buf, objects);
    const bytes = Buffer.from(buf.buffer, buf.byteOffset + pos, Math.min(length, reader.len - pos)).toString(
      'latin1',
    );
    const shared = objects.get(bytes) ?? toObject(decode(reader, length, end, depth));
    objects.set(bytes, shared);
    reader.pos = pos + length;
    return shared;
  });
}

function codec(type: protobuf.Type): { decode: Decode; toObject: (message: object) => object } {
  type.setup();
  const { decode, toObject } = type;
  return {
    decode: decode.bind(type) as Decode, // as: see Decode
    toObject: (message) => toObject.call(type, message as protobuf.Message, plainForm),
  };
}

function replace(type: protobuf.Type, decode: Decode): void {
  Object.assign(type, { decode, toObject: (object: object) => object });
}
