import protobuf from 'protobufjs';
import { FileFormatError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { sniff } from '../../io/sniff.ts';
import { decodeModel, type ModelProto } from './proto.ts';

/**
 * An ONNX file may contain up to 2 GB of weights between the fields that describe the model. The file is walked field by
 * field, the elements of tensors are skipped unread, and the remaining bytes are decoded as a message.
 */

/** Content of a field: a message to walk, or elements that may be skipped; all other fields are copied. */
type Content = 'graph' | 'node' | 'attribute' | 'tensor' | 'elements' | 'raw elements';

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
    9: 'raw elements', // raw_data
    10: 'elements', // double_data
    11: 'elements', // uint64_data
  },
};

/** Limit on the depth of graphs within graphs; no real model comes near it. */
const MOST_LEVELS = 40;

/** The level of the model's own initializers: tensors of its graph. */
const INITIALIZER_LEVEL = 2;

/** Limit on the size of a field that is read: larger than any name, shape or attribute. */
const LARGEST_FIELD = 1 << 26;

/** Least size of a weight that is skipped: constants are small, and read with the model. */
const FEWEST_PASSED_OVER = 1 << 16;

/** Place of a weight inside an ONNX file that was skipped. */
export interface InsideWeight {
  /** Index among the graph's initializers. */
  readonly index: number;
  readonly offset: number;
  readonly byteLength: number;
}

/** Reads an ONNX model without the elements of its tensors. Throws `FileFormatError` when it is not one. */
export async function readOnnxHeader(source: ByteSource): Promise<ModelProto> {
  return new HeaderReader(source, () => true).read();
}

/**
 * Reads an ONNX model without its large initializers, and returns their places in the file. Throws `FileFormatError` when
 * the file is no ONNX model.
 */
export async function readOnnxWithoutWeights(
  source: ByteSource,
): Promise<{ readonly proto: ModelProto; readonly weights: readonly InsideWeight[] }> {
  const weights: InsideWeight[] = [];
  const reader = new HeaderReader(source, (weight) => {
    if (!weight || weight.byteLength < FEWEST_PASSED_OVER) return false;
    weights.push(weight);
    return true;
  });
  return { proto: await reader.read(), weights };
}

/** Whether a file is an ONNX model, by its outermost fields; reads only a few bytes. */
export async function looksLikeOnnx(source: ByteSource): Promise<boolean> {
  const file = new Window(source);
  const start = await file.peek(0, Math.min(source.size, 512));
  if (source.size === 0 || sniff(start)) return false;
  const found = new Set<number>();
  try {
    for (let at = 0; at < source.size; ) {
      const { number, next } = await readField(file, at, source.size);
      if (number > LAST_FIELD) return false;
      found.add(number);
      at = next;
    }
  } catch (error) {
    if (error instanceof FileFormatError) return false;
    throw error;
  }
  return [VERSION, GRAPH, OPSETS].every((number) => found.has(number));
}

/** Fields of the outermost message: those of every model, and the last one defined. */
const VERSION = 1;
const GRAPH = 7;
const OPSETS = 8;
const LAST_FIELD = 30;

function decode(bytes: Uint8Array): ModelProto | undefined {
  try {
    return decodeModel(bytes);
  } catch {
    // protobufjs' messages do not help a user.
    return undefined;
  }
}

/** Decides whether to skip elements of a tensor; gets a weight for the raw bytes of an initializer. */
type PassOver = (weight: InsideWeight | undefined) => boolean;

class HeaderReader {
  readonly #file: Window;
  readonly #passOver: PassOver;
  #initializer = -1;

  constructor(source: ByteSource, passOver: PassOver) {
    this.#file = new Window(source);
    this.#passOver = passOver;
  }

  async read(): Promise<ModelProto> {
    const { source } = this.#file;
    const model = decode(await this.#message('model', 0, source.size, 0));
    if (model?.graph?.node?.length && model.opsetImport?.length) return model;
    throw notOnnx(source);
  }

  /** Reads a message, from `start` to `end` in the file, without the elements in it. */
  async #message(message: string, start: number, end: number, level: number): Promise<Uint8Array> {
    if (level > MOST_LEVELS) throw notOnnx(this.#file.source);
    if (message === 'tensor' && level === INITIALIZER_LEVEL) this.#initializer++;
    const parts: Uint8Array[] = [];
    for (let at = start; at < end; ) {
      const field = await readField(this.#file, at, end);
      const part = await this.#field(fieldsOf[message]?.[field.number], at, field, level);
      if (part) parts.push(part);
      at = field.next;
    }
    return Buffer.concat(parts);
  }

  /** Reads a field that begins at `at`, without skipped elements. */
  async #field(
    holds: Content | undefined,
    at: number,
    { key, content, next }: Field,
    level: number,
  ): Promise<Uint8Array | undefined> {
    if (holds === 'elements' || holds === 'raw elements') {
      const isWeight = holds === 'raw elements' && level === INITIALIZER_LEVEL;
      const place = { index: this.#initializer, offset: content, byteLength: next - content };
      return this.#passOver(isWeight ? place : undefined) ? undefined : this.#file.copy(at, next);
    }
    if (holds === undefined) {
      if (next - at > LARGEST_FIELD) throw notOnnx(this.#file.source);
      return this.#file.copy(at, next);
    }
    const inner = await this.#message(holds, content, next, level + 1);
    return protobuf.Writer.create().uint32(key).bytes(inner).finish();
  }
}

interface Field {
  readonly number: number;
  /** Field number and wire type. */
  readonly key: number;
  /** Offset of the content, after its length if it has one. */
  readonly content: number;
  /** Offset of the field's end. */
  readonly next: number;
}

/** Longest key and length: 5 and 10 bytes. */
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
