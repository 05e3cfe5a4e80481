import { basename, dirname, join } from 'node:path';
import { RequestError } from '../errors.ts';
import { type OnnxModel, relocated } from '../formats/onnx/build-model.ts';
import { layOutTensors, MAX_DATA_FILE_BYTES, placements } from '../formats/onnx/external-data.ts';
import { openOnnx } from '../formats/onnx/read-onnx.ts';
import { writeOnnx } from '../formats/onnx/write-onnx.ts';
import { linkFile, lookAtFile } from '../io/disk.ts';
import { hashStream } from '../io/hashing/hash-stream.ts';
import { pathFrom } from '../io/path-from.ts';
import { formatBytes } from '../text.ts';
import type { WebFile, WebModel } from './web-plan.ts';

/** How files come into the folder of a page. */
export interface Placing {
  /** Folder of the page. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
  /** Is told how many bytes were read or written. */
  readonly onBytes: (count: number) => void;
  /** Largest file; browsers have buffers of less than 2 GiB. */
  readonly maxFileBytes?: number;
}

/** An ONNX model to place. */
export interface PlacedModel extends Pick<WebModel, 'isFloat16'> {
  readonly name: string;
  /** The `.onnx` file. */
  readonly path: string;
}

/**
 * Places a model in `models/`: its files get second names there (copies where the disk has no links); files that are too
 * large for a browser are written anew as several. Throws `RequestError` for a tensor that is too large by itself, and what reading and writing throws.
 */
export async function placeModel(
  { name, path, isFloat16 }: PlacedModel,
  placing: Placing,
): Promise<WebModel> {
  const { folder, maxFileBytes = MAX_DATA_FILE_BYTES } = placing;
  const target = join(folder, 'models', name);
  const source = await openOnnx(path);
  try {
    const locations = source.dataFiles.map(({ location }) => location);
    const sizes = await Promise.all(
      [path, ...locations.map((each) => join(dirname(path), each))].map(sizeOf),
    );
    const isTooLarge = sizes.some((size) => size > maxFileBytes);
    const model = isTooLarge ? inParts(source, path, maxFileBytes) : source;
    if (isTooLarge) await writeOnnx(model, target, placing.onBytes);
    const names = servedNames([basename(path), ...model.dataFiles.map(({ location }) => location)]);
    const place = async (file: string): Promise<WebFile> => {
      const placed = join(target, names.get(file) ?? file);
      if (!isTooLarge) await linkFile(join(dirname(path), file), placed);
      return describeFile(placed, placing);
    };
    const own = await place(isTooLarge ? 'model.onnx' : basename(path));
    const data = [];
    for (const { location } of model.dataFiles)
      if (location !== basename(path)) data.push({ name: location, ...(await place(location)) });
    return { model: own, data, isFloat16 };
  } finally {
    await source.close();
  }
}

/**
 * Names for files of a model in the folder of a page, by their own. Web servers, `serve` among them, keep to themselves what begins with
 * a dot, and take some signs for others: such files are numbered.
 */
function servedNames(files: readonly string[]): ReadonlyMap<string, string> {
  const isServed = (file: string) =>
    !/[\\:]/.test(file) && file.split('/').every((part) => !part.startsWith('.'));
  const taken = new Set(files);
  let next = 0;
  const numbered = (): string => {
    const name = `file_${next++}`;
    return taken.has(name) ? numbered() : name;
  };
  return new Map(files.map((file) => [file, isServed(file) ? file : numbered()]));
}

/** The same model with its weights in data files of at most so many bytes. */
function inParts({ proto, dataFiles }: OnnxModel, path: string, maxFileBytes: number): OnnxModel {
  const tensors = dataFiles.flatMap((file) => file.tensors.map(({ tensor }) => tensor));
  const large = tensors.find(({ byteLength }) => byteLength > maxFileBytes);
  if (large)
    throw new RequestError({
      problem: `${path} is too large for a browser: one of its weights alone is more than ${formatBytes(maxFileBytes)}.`,
      details: { weight: `${large.name}, ${formatBytes(large.byteLength)}` },
      advice: 'Convert with --precision float16, or quantize it.',
    });
  const parts = layOutTensors(tensors, 'model.onnx_data', maxFileBytes);
  const places = placements(parts);
  const initializer = (proto.graph?.initializer ?? []).map((tensor) => relocated(tensor, places));
  return { dataFiles: parts, proto: { ...proto, graph: { ...proto.graph, initializer } } };
}

/** Describes a file of the page's folder. */
export async function describeFile(
  path: string,
  { folder, signal, onBytes }: Pick<Placing, 'folder' | 'signal' | 'onBytes'>,
): Promise<WebFile> {
  const sha256 = await hashStream(path, { signal, onBytes });
  return { path: pathFrom(folder, path), byteLength: await sizeOf(path), sha256 };
}

async function sizeOf(path: string): Promise<number> {
  return (await lookAtFile(path))?.size ?? 0;
}
