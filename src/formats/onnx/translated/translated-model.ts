import { join, resolve } from 'node:path';
import { FileFormatError, SdConvertError, UnsupportedModelError } from '../../../errors.ts';
import type { ByteSource } from '../../../io/bytes.ts';
import { pathFrom } from '../../../io/path-from.ts';
import { byteSize, type DType } from '../../../weights/dtype.ts';
import { bytesOf, type TensorData } from '../../../weights/tensor-data.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import { externalTensor, modelProto, type OnnxModel } from '../build-model.ts';
import { layOutTensors, placements } from '../external-data.ts';
import { OnnxWriter } from '../onnx-writer.ts';
import { dataTypes, type TensorProto, type ValueInfoProto } from '../proto.ts';

/** ONNX dtypes of computed values: float32 for fractions, int64 for all whole numbers. */
export type Kind = 'f32' | 'i64' | 'bool';

/** Folders of an ONNX model's data, and of its decoded part. */
export interface DataFolders {
  /** The folder that the ONNX model's data is in, at any depth: locations are relative to it. */
  readonly dataFolder: string;
  /** The folder inside of it where decoded weights will be. */
  readonly decodedFolder: string;
}

/** A stretch of a file with the elements of a tensor. */
export interface StoredPlace {
  readonly file: ByteSource;
  readonly offset: number;
  readonly byteLength: number;
}

/**
 * A model of another format on its way to ONNX: collects nodes and tensors. Weights that ONNX can read stay in the format's
 * own files, others are decoded into files that must be written before the model is loaded.
 */
export class TranslatedModel {
  readonly write = new OnnxWriter((name) => name);
  /** The model, for errors. */
  readonly path: string;
  readonly #folders: DataFolders;
  /** What can be done with a model that cannot be run here. */
  readonly #advice: string;
  readonly #scalars = new Set<string>();
  readonly #inPlace: TensorProto[] = [];
  readonly #decoded: (TensorStream & { readonly dtype: DType; readonly dims: readonly number[] })[] = [];

  constructor(path: string, folders: DataFolders, advice: string) {
    this.path = path;
    this.#folders = folders;
    this.#advice = advice;
  }

  /** The name of a float32 tensor [] of a number. */
  scalar(value: number): string {
    const name = `float32 ${value}`;
    if (!this.#scalars.has(name)) this.initializer(name, 'f32', [], [value]);
    this.#scalars.add(name);
    return name;
  }

  /** Adds a small constant; gives its name. */
  initializer(name: string, kind: Kind, dims: readonly number[], elements: ArrayLike<unknown>): string {
    const rawData = bytesOf({ data: arrays[kind](Array.from(elements, Number)) });
    this.write.initializers.push({ name, dims: [...dims], dataType: dataTypes[kind], rawData });
    return name;
  }

  /** Adds a weight that stays in a file of the format; gives the name of its value, in a kind that is computed with. */
  stored(name: string, kind: Kind, dtype: DType, dims: readonly number[], place: StoredPlace): string {
    const { file, offset, byteLength } = place;
    const raw = dtype === kind ? `${name}/${kind}` : `${name}/stored`;
    const at = { location: this.#locate(file.name), offset, length: byteLength };
    this.#inPlace.push(externalTensor({ name: raw, dtype, dims }, at));
    return this.#asKind(kind, raw, dtype, name);
  }

  /** Adds a weight that is decoded when the data file is written; gives the name of its value, in float32. */
  decoded(
    name: string,
    dtype: 'f16' | 'f32',
    dims: readonly number[],
    decode: () => Promise<Uint8Array>,
  ): string {
    const { path } = this;
    async function* stream() {
      yield await decode().catch((error: unknown) => {
        throw error instanceof SdConvertError ? error : undecodable(path, name, error);
      });
    }
    const raw = dtype === 'f32' ? `${name}/f32` : `${name}/stored`;
    this.#decoded.push({ name: raw, dtype, dims, byteLength: byteSize(dims, dtype), stream });
    return this.#asKind('f32', raw, dtype, name);
  }

  unsupported(what: string, details: Readonly<Record<string, string>> = {}): UnsupportedModelError {
    return new UnsupportedModelError({
      problem: `${this.path} cannot be run on this machine: ${what}.`,
      details,
      advice: this.#advice,
    });
  }

  /** The model, its values declared; its weights lie where they are, but for those in `dataFiles`. */
  finish(
    inputs: readonly ValueInfoProto[],
    outputs: readonly ValueInfoProto[],
    values: readonly ValueInfoProto[],
  ): OnnxModel {
    const file = this.#locate(join(this.#folders.decodedFolder, 'weights'));
    const dataFiles = layOutTensors(this.#decoded, file);
    const places = placements(dataFiles);
    const decoded = this.#decoded.map((tensor) => {
      const place = places.get(tensor.name);
      if (!place) throw new Error(`${tensor.name} has no place`);
      return externalTensor(tensor, place);
    });
    const initializer = [...this.write.initializers, ...this.#inPlace, ...decoded];
    const borders = new Set([...inputs, ...outputs].map(({ name }) => name));
    const graph = {
      name: 'main',
      node: this.write.nodes,
      initializer,
      input: [...inputs],
      output: [...outputs],
      valueInfo: values.filter(({ name }) => !borders.has(name)),
    };
    return { proto: modelProto(graph, {}), dataFiles };
  }

  /** A path as ONNX writes it. */
  #locate(path: string): string {
    return pathFrom(this.#folders.dataFolder, resolve(path));
  }

  #asKind(kind: Kind, raw: string, stored: DType, name: string): string {
    return stored === kind
      ? raw
      : this.write.node1('Cast', [raw], `${name}/${kind}`, { to: dataTypes[kind] });
  }
}

/** Declares a value; a size that is not fixed gets the name of its axis where it is an input or output. */
export function valueInfo(
  name: string,
  dtype: DType,
  shape: readonly (number | undefined)[],
  axisName?: (axis: number) => string,
): ValueInfoProto {
  const dim = shape.map((size, axis) =>
    size === undefined ? (axisName ? { dimParam: axisName(axis) } : {}) : { dimValue: size },
  );
  return { name, type: { tensorType: { elemType: dataTypes[dtype], shape: { dim } } } };
}

const arrays: { readonly [K in Kind]: (numbers: readonly number[]) => TensorData['data'] } = {
  f32: (numbers) => Float32Array.from(numbers),
  i64: (numbers) => BigInt64Array.from(numbers, BigInt),
  bool: (numbers) => Uint8Array.from(numbers),
};

function undecodable(path: string, name: string, cause: unknown): FileFormatError {
  return new FileFormatError(
    {
      problem: `${path} is damaged: a compressed weight contradicts itself.`,
      details: { weight: name, found: cause instanceof Error ? cause.message : String(cause) },
      advice: 'It is incomplete, or was written by a faulty tool: get it again, or convert it again.',
    },
    { cause },
  );
}
