import { basename, dirname, join } from 'node:path';
import { FileFormatError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { openFile } from '../../io/disk.ts';
import { streamBytes } from '../../io/stream-bytes.ts';
import type { TensorStream } from '../../weights/tensor-stream.ts';
import { type OnnxModel, relocated } from './build-model.ts';
import { type DataFile, layOutTensors, placements } from './external-data.ts';
import { readOnnxWithoutWeights } from './onnx-header.ts';
import { decodeModel, EXTERNAL, type ModelProto, type TensorProto } from './proto.ts';

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
  const sources = new Map<string, ByteSource>();
  const close = async (): Promise<void> => {
    for (const source of sources.values()) await source.close();
  };
  try {
    const files = new Map<string, { tensor: TensorStream; offset: number }[]>();
    for (const tensor of (proto.graph?.initializer ?? []).filter(isExternal)) {
      const place = placeOf(tensor, path);
      const source = sources.get(place.location) ?? (await openFile(join(dirname(path), place.location)));
      sources.set(place.location, source);
      const stored = files.get(place.location) ?? [];
      files.set(place.location, stored);
      stored.push({ tensor: storedTensor(tensor, place, source, path), offset: place.offset });
    }
    const dataFiles: DataFile[] = [...files].map(([location, tensors]) => ({
      location,
      byteLength: sources.get(location)?.size ?? 0,
      tensors,
    }));
    return { proto, dataFiles, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Makes an open model writable: weights inside its file move to a data file. */
export function withWeightsBeside(model: OnnxModel, path: string): OnnxModel {
  const own = basename(path);
  if (model.dataFiles.every(({ location }) => location !== own)) return model;
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

function storedTensor(
  { name }: TensorProto,
  { offset, length }: Place,
  source: ByteSource,
  path: string,
): TensorStream {
  const byteLength = length ?? source.size - offset;
  if (offset + byteLength <= source.size && byteLength >= 0) {
    return { name: name ?? '', byteLength, stream: () => streamBytes(source, offset, byteLength) };
  }
  throw new FileFormatError({
    problem: `the weights of ${path} are cut off.`,
    details: {
      tensor: name ?? '',
      needs: `bytes ${offset} … ${offset + byteLength}`,
      file: `${source.name} (${source.size} bytes)`,
    },
    advice:
      'The data file is not the one the model was written with, or it is truncated. Convert or download it again.',
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
  const location = entries.get('location') ?? '';
  const offset = Number(entries.get('offset') ?? 0);
  const length = entries.has('length') ? Number(entries.get('length')) : undefined;
  const inside =
    location !== '' &&
    !location.startsWith('/') &&
    !location.includes('\\') &&
    !location.split('/').includes('..');
  if (
    inside &&
    Number.isSafeInteger(offset) &&
    offset >= 0 &&
    (length === undefined || Number.isSafeInteger(length))
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
