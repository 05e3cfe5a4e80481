import protobuf from 'protobufjs';
import { FileFormatError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { type ModelProto, onnx } from './proto.ts';

/**
 * An ONNX file may hold its weights, up to 2 GB of them, between what describes the model. Here the file is walked field
 * by field, tensors' elements are passed over unread, and what is left is decoded as if it were the file.
 */

/** What a field holds: a message to be walked, or elements to be left out; all other fields are taken as they are. */
type Content = 'graph' | 'node' | 'attribute' | 'tensor' | 'elements';

/** The fields by their numbers (onnx.proto). */
const fieldsOf: Readonly<Record<string, Readonly<Record<number, Content>>>> = {
  model: { 7: 'graph' },
  graph: { 1: 'node', 5: 'tensor' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph' },
  tensor: {
    4: 'elements', // float_data
    5: 'elements', // int32_data
    7: 'elements', // int64_data
    9: 'elements', // raw_data
    10: 'elements', // double_data
    11: 'elements', // uint64_data
  },
};

/** Graphs within graphs lie this deep in no model. */
const MOST_LEVELS = 40;

/** No name, shape or attribute is as large. */
const LARGEST_FIELD = 1 << 26;

/** Reads an ONNX model without the elements of its tensors. Throws `FileFormatError` when it is not one. */
export async function readOnnxHeader(source: ByteSource): Promise<ModelProto> {
  const model = decode(await withoutElements(new Window(source), 'model', 0, source.size, 0));
  if (model?.graph?.node?.length && model.opsetImport?.length) return model;
  throw notOnnx(source);
}

function decode(bytes: Uint8Array): ModelProto | undefined {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch {
    // What protobufjs finds wrong says nothing to a user.
    return undefined;
  }
}

/** The bytes of a message, from `start` to `end` in the file, without the elements in it. */
async function withoutElements(
  file: Window,
  message: string,
  start: number,
  end: number,
  level: number,
): Promise<Uint8Array> {
  if (level > MOST_LEVELS) throw notOnnx(file.source);
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const { number, key, content, next } = await readField(file, at, end);
    const inside = fieldsOf[message]?.[number];
    if (inside === undefined) {
      if (next - at > LARGEST_FIELD) throw notOnnx(file.source);
      parts.push(await file.copy(at, next));
    } else if (inside !== 'elements') {
      const inner = await withoutElements(file, inside, content, next, level + 1);
      parts.push(protobuf.Writer.create().uint32(key).bytes(inner).finish());
    }
    at = next;
  }
  return Buffer.concat(parts);
}

interface Field {
  readonly number: number;
  /** The number and how the content is written. */
  readonly key: number;
  /** Where the content begins, behind its length if it has one. */
  readonly content: number;
  /** Where the field ends. */
  readonly next: number;
}

/** A key and a length, 5 and 10 bytes at most. */
const LONGEST_HEAD = 15;

async function readField(file: Window, at: number, end: number): Promise<Field> {
  const reader = protobuf.Reader.create(await file.peek(at, Math.min(end, at + LONGEST_HEAD)));
  try {
    const key = reader.uint32();
    const byteLength = key % 8 === 2 ? reader.uint32() : 0;
    const content = at + reader.pos;
    if (key % 8 !== 2) reader.skipType(key % 8);
    const next = at + reader.pos + byteLength;
    if (next <= end) return { number: key >>> 3, key, content, next };
  } catch {
    // A field that does not end is refused as one that is too long.
  }
  throw notOnnx(file.source);
}

/** Reads ahead, so that a small field costs no read of its own. */
class Window {
  readonly source: ByteSource;
  #bytes = new Uint8Array(0);
  #start = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** The bytes from `start` to `end`: good until the next call. */
  async peek(start: number, end: number): Promise<Uint8Array> {
    if (start < this.#start || end > this.#start + this.#bytes.length) {
      const length = Math.min(this.source.size - start, Math.max(end - start, READ_AHEAD));
      this.#bytes = new Uint8Array(length);
      this.#start = start;
      await this.source.read(this.#bytes, start);
    }
    return this.#bytes.subarray(start - this.#start, end - this.#start);
  }

  async copy(start: number, end: number): Promise<Uint8Array> {
    return (await this.peek(start, end)).slice();
  }
}

const READ_AHEAD = 1 << 16;

function notOnnx({ name, size }: ByteSource): FileFormatError {
  return new FileFormatError({
    problem: `${name} is not an ONNX model, or is damaged.`,
    details: { size: `${size} bytes` },
    advice: 'Name a file that a converter wrote (model.onnx). If it was downloaded, download it again.',
  });
}
