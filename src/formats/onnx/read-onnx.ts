import { basename, dirname, join, posix } from 'node:path';
import { FileFormatError, NotFoundError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { openFile } from '../../io/disk.ts';
import { excerpt } from '../../io/error-text.ts';
import { streamBytes } from '../../io/stream-bytes.ts';
import type { TensorStream } from '../../weights/tensor-stream.ts';
import { type OnnxModel, relocated } from './build-model.ts';
import { type DataFile, layOutTensors, placements } from './external-data.ts';
import { readOnnxWithoutWeights } from './onnx-header.ts';
import { decodeModel, EXTERNAL, type ModelProto, type TensorProto } from './proto.ts';
import { declaredBytes, verifyTensors } from './verify-tensors.ts';

/** An ONNX file that is open: the message, and its external tensors unread. */
export interface OpenOnnx extends OnnxModel {
  close(): Promise<void>;
}

/** Limit of runtimes: protobuf messages have less than 2 GiB. */
const MAX_MODEL_BYTES = 2 ** 31;

/** Largest file that is read whole; the weights inside larger ones are skipped. */
const READ_WHOLE_BYTES = 1 << 26;

/**
 * Opens an ONNX file without reading its weights, be they beside it or, in a large file, inside: these are then external
 * data of which the file itself is the data file. Throws `NotFoundError`, or `FileFormatError` when the file is not ONNX,
 * a data file is missing or too short, or a tensor claims bytes outside the model's folder.
 */
export async function openOnnx(path: string, { readWhole = READ_WHOLE_BYTES } = {}): Promise<OpenOnnx> {
  const proto = await readModelProto(path, readWhole);
  verifyTensors(proto.graph ?? {}, path);
  const sources = new Map<string, ByteSource>();
  const close = async (): Promise<void> => {
    for (const source of sources.values()) await source.close();
  };
  try {
    const files = new Map<string, StoredTensors>();
    for (const tensor of (proto.graph?.initializer ?? []).filter(isExternal)) {
      const place = placeOf(tensor, path);
      const source = sources.get(place.location) ?? (await openData(path, place.location));
      sources.set(place.location, source);
      const stored = files.get(place.location) ?? new StoredTensors(source, path);
      files.set(place.location, stored);
      stored.add(tensor, place);
    }
    const dataFiles = [...files].map(([location, stored]) => ({ location, ...stored.inOrder() }));
    return { proto, dataFiles, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Makes an open model writable: weights inside its file, or in one whose name something else needs, move to a data file. */
export function withWeightsBeside(model: OnnxModel, path: string): OnnxModel {
  const own = basename(path);
  const isTaken = (location: string) => location === own || /[/]|\.(onnx|json)$/.test(location);
  if (!model.dataFiles.some(({ location }) => isTaken(location))) return model;
  const tensors = model.dataFiles.flatMap((file) => file.tensors.map(({ tensor }) => tensor));
  const dataFiles = layOutTensors(tensors, 'model.onnx_data');
  const places = placements(dataFiles);
  const { graph } = model.proto;
  const initializer = (graph?.initializer ?? []).map((tensor) => relocated(tensor, places));
  return { dataFiles, proto: { ...model.proto, graph: { ...graph, initializer } } };
}

function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === EXTERNAL;
}

/** The tensors of one data file, which may be in any order and share their bytes. */
class StoredTensors {
  readonly #source: ByteSource;
  readonly #path: string;
  readonly #tensors: { readonly tensor: TensorStream; readonly offset: number }[] = [];
  /** Streams by place: tensors that share their bytes have one. */
  readonly #streams = new Map<string, TensorStream['stream']>();

  constructor(source: ByteSource, path: string) {
    this.#source = source;
    this.#path = path;
  }

  /** Throws `FileFormatError` for one that the file does not hold whole. */
  add(tensor: TensorProto, { offset, length }: Place): void {
    const name = tensor.name ?? '';
    const declared = declaredBytes(tensor);
    const byteLength = length ?? declared ?? this.#source.size - offset;
    if (byteLength < 0 || offset + byteLength > this.#source.size)
      throw cutOff(this.#path, name, this.#source, `bytes ${offset} … ${offset + byteLength}`);
    if (declared !== undefined && byteLength !== declared)
      throw misplaced(this.#path, 'a tensor has not as many bytes as its size says', name);
    const key = `${offset} ${byteLength}`;
    const stream = this.#streams.get(key) ?? (() => streamBytes(this.#source, offset, byteLength));
    this.#streams.set(key, stream);
    this.#tensors.push({ tensor: { name, byteLength, stream }, offset });
  }

  /** In the order of the file, up to the end of the last one. Throws `FileFormatError` for tensors that overlap. */
  inOrder(): Omit<DataFile, 'location'> {
    // Stable: tensors that share their bytes stay in the order of the model.
    const tensors = this.#tensors.toSorted(
      (a, b) => a.offset - b.offset || a.tensor.byteLength - b.tensor.byteLength,
    );
    let [end, before] = [0, tensors[0]];
    for (const each of tensors) {
      if (each.offset < end && each.tensor.stream !== before?.tensor.stream)
        throw misplaced(this.#path, 'two tensors share a part of their bytes', each.tensor.name);
      if (each.tensor.byteLength > 0) [end, before] = [each.offset + each.tensor.byteLength, each];
    }
    return { tensors, byteLength: end };
  }
}

/** Opens a data file, which nobody named: one that is missing was not copied with its model. */
async function openData(path: string, location: string): Promise<ByteSource> {
  try {
    return await openFile(join(dirname(path), location));
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new NotFoundError(
      {
        problem: `the weights of ${path} are missing: there is no ${excerpt(location)} beside it.`,
        details: error.details,
        advice: 'Copy or download the model with all files that lie beside it, or convert it again.',
      },
      { cause: error },
    );
  }
}

function cutOff(path: string, tensor: string, source: ByteSource, needs: string): FileFormatError {
  return new FileFormatError({
    problem: `the weights of ${path} are cut off.`,
    details: { tensor, needs, file: `${source.name} (${source.size} bytes)` },
    advice:
      'The data file is not the one the model was written with, or it is truncated. Convert or download it again.',
  });
}

function misplaced(path: string, what: string, tensor: string): FileFormatError {
  return new FileFormatError({
    problem: `the weights of ${path} are not where they can be: ${what}.`,
    details: { tensor },
    advice: 'It is damaged, or was written by a faulty tool: get it again, or convert it again.',
  });
}

async function readModelProto(path: string, readWhole: number): Promise<ModelProto> {
  const source = await openFile(path);
  try {
    if (source.size === 0 || source.size >= MAX_MODEL_BYTES) throw notOnnx(path, `${source.size} bytes`);
    if (source.size > readWhole) return await readLargeModel(source, path);
    const bytes = new Uint8Array(source.size);
    await source.read(bytes, 0);
    const proto = decode(bytes);
    if (!proto?.graph?.node?.length || !proto.opsetImport?.length) throw notOnnx(path, 'no ONNX graph');
    return proto;
  } finally {
    await source.close();
  }
}

async function readLargeModel(source: ByteSource, path: string): Promise<ModelProto> {
  const { proto, weights } = await readOnnxWithoutWeights(source);
  const inside = new Map(weights.map((weight) => [weight.index, weight]));
  const location = basename(path);
  const initializer = (proto.graph?.initializer ?? []).map((tensor, index): TensorProto => {
    const weight = inside.get(index);
    if (!weight) return tensor;
    const place = { location, offset: weight.offset, length: weight.byteLength };
    return {
      ...tensor,
      dataLocation: EXTERNAL,
      externalData: Object.entries(place).map(([key, value]) => ({ key, value: String(value) })),
    };
  });
  return { ...proto, graph: { ...proto.graph, initializer } };
}

function decode(bytes: Uint8Array): ModelProto | undefined {
  try {
    return decodeModel(bytes);
  } catch {
    // protobufjs throws RangeError or Error for bytes that are no message; the difference does not help a user.
    return undefined;
  }
}

function notOnnx(path: string, found: string): FileFormatError {
  return new FileFormatError({
    problem: `${path} is not an ONNX model.`,
    details: { found },
    advice: 'Name a file that a converter wrote (model.onnx). If it was downloaded, download it again.',
  });
}

interface Place {
  readonly location: string;
  readonly offset: number;
  /** To the end of the file when left out. */
  readonly length: number | undefined;
}

function placeOf(tensor: TensorProto, path: string): Place {
  const entries = new Map((tensor.externalData ?? []).map(({ key, value }) => [key, value ?? '']));
  // One file has one name here, however it is written.
  const location = posix.normalize(entries.get('location') || '..');
  const offset = Number(entries.get('offset') ?? 0);
  const length = entries.has('length') ? Number(entries.get('length')) : undefined;
  const inside = !location.startsWith('/') && !/[\\\0]/.test(location) && !location.split('/').includes('..');
  if (
    inside &&
    Number.isSafeInteger(offset) &&
    offset >= 0 &&
    (length === undefined || (Number.isSafeInteger(length) && length >= 0))
  ) {
    return { location, offset, length };
  }
  throw new FileFormatError({
    problem: `${path} places a tensor outside its own folder or at no valid offset.`,
    details: {
      tensor: tensor.name ?? '',
      location,
      offset: entries.get('offset') ?? '0',
      length: entries.get('length') ?? '(to the end)',
    },
    advice: 'Do not use this file: ONNX data must lie beside its model.',
  });
}
