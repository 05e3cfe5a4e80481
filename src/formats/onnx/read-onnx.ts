import { dirname, join } from 'node:path';
import { FileFormatError } from '../../errors.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { openFile } from '../../io/disk.ts';
import { streamBytes } from '../../io/stream-bytes.ts';
import type { TensorStream } from '../../weights/tensor-stream.ts';
import type { OnnxModel } from './build-model.ts';
import type { DataFile } from './external-data.ts';
import { type ModelProto, onnx, type TensorProto } from './proto.ts';

/** An ONNX file that is open: the message, and its external tensors unread. */
export interface OpenOnnx extends OnnxModel {
  close(): Promise<void>;
}

/** The largest model message that is read: runtimes refuse protobuf messages of 2 GiB. */
const MAX_MODEL_BYTES = 2 ** 31;

/**
 * Opens an ONNX file without reading its external data. Throws `NotFoundError`, or `FileFormatError` when the file is
 * not ONNX, a data file is missing or too short, or a tensor claims bytes outside the model's folder.
 */
export async function openOnnx(path: string): Promise<OpenOnnx> {
  const proto = await readModelProto(path);
  const sources = new Map<string, ByteSource>();
  const close = async (): Promise<void> => {
    for (const source of sources.values()) await source.close();
  };
  try {
    const tensors = (proto.graph?.initializer ?? []).filter(
      (tensor) => tensor.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL,
    );
    const files = new Map<string, { tensor: TensorStream; offset: number }[]>();
    for (const tensor of tensors) {
      const place = placeOf(tensor, path);
      const source = sources.get(place.location) ?? (await openFile(join(dirname(path), place.location)));
      sources.set(place.location, source);
      const byteLength = place.length ?? source.size - place.offset;
      if (place.offset + byteLength > source.size || byteLength < 0) {
        throw new FileFormatError({
          problem: `the weights of ${path} are cut off.`,
          details: {
            tensor: tensor.name ?? '',
            needs: `bytes ${place.offset} … ${place.offset + byteLength}`,
            file: `${source.name} (${source.size} bytes)`,
          },
          advice:
            'The data file is not the one the model was written with, or it is truncated. Convert or download it again.',
        });
      }
      const stored = {
        name: tensor.name ?? '',
        byteLength,
        stream: () => streamBytes(source, place.offset, byteLength),
      };
      files.set(place.location, [
        ...(files.get(place.location) ?? []),
        { tensor: stored, offset: place.offset },
      ]);
    }
    const dataFiles: DataFile[] = [...files].map(([location, stored]) => ({
      location,
      byteLength: sources.get(location)?.size ?? 0,
      tensors: stored,
    }));
    return { proto, dataFiles, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readModelProto(path: string): Promise<ModelProto> {
  const source = await openFile(path);
  try {
    if (source.size === 0 || source.size >= MAX_MODEL_BYTES) throw notOnnx(path, `${source.size} bytes`);
    const bytes = new Uint8Array(source.size);
    await source.read(bytes, 0);
    const proto = decode(bytes);
    if (!proto?.graph?.node?.length || !proto.opsetImport?.length) throw notOnnx(path, 'no ONNX graph');
    return proto;
  } finally {
    await source.close();
  }
}

function decode(bytes: Uint8Array): ModelProto | undefined {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch {
    // protobufjs throws RangeError and plain Error for what is not a message; which one says nothing to a user.
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

function placeOf(
  tensor: TensorProto,
  path: string,
): { location: string; offset: number; length: number | undefined } {
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
