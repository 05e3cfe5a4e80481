import { elementCount } from '../../../weights/dtype.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import { type MilDType, milElement } from '../mil/mil-dtype.ts';
import { programValues, tensorTypeOf, withValues } from '../mil/mil-program.ts';
import type { BlobFileValue, ImmediateValue, Model, Value } from '../mil/mil-schema.ts';
import { type Blob, storedSize, WEIGHT_FILE_REFERENCE, WeightFileLayout } from './weight-file.ts';

/**
 * A model in memory has constants that stream. When its files are planned or written each gets a place: in the weight
 * file, or, when it has hardly any elements, in the program itself.
 */

/** A model as the two files of a package. */
export interface LaidOutModel {
  /** The message; its values in the weight file refer to it. */
  readonly message: Model;
  readonly weights: WeightFileLayout;
}

/** Gives the bytes of a value that stands in the program. */
export type SmallValues = (stream: TensorStream) => Uint8Array;

/**
 * Lays out a model's files: each stream once, in the order of the operations. The values that stand in the program are
 * zeros unless they are given, which are just as long. Nothing is read.
 */
export function layOut(model: Model, smallValues: SmallValues = zeros): LaidOutModel {
  const weights = new WeightFileLayout();
  const places = new Map<TensorStream, BlobFileValue>();
  const place = (streamed: Streamed): BlobFileValue => {
    const known = places.get(streamed.stream);
    if (known) return known;
    const added = { fileName: WEIGHT_FILE_REFERENCE, offset: weights.add(blobOf(streamed)) };
    places.set(streamed.stream, added);
    return added;
  };
  const laidOut = (value: Value): Value => {
    const streamed = streamedOf(value);
    if (!streamed) return value;
    const { docString, type } = value;
    if (belongsInFile(streamed)) return { docString, type, blobFileValue: place(streamed) };
    return { docString, type, immediateValue: immediateOf(streamed, smallValues(streamed.stream)) };
  };
  const { mlProgram } = model;
  const message = mlProgram ? { ...model, mlProgram: withValues(mlProgram, laidOut) } : model;
  return { message, weights };
}

/** The streams of a model whose values will stand in the program itself. */
export function smallStreams({ mlProgram }: Model): TensorStream[] {
  return [...(mlProgram ? programValues(mlProgram) : [])].flatMap(({ value }) => {
    const streamed = streamedOf(value);
    return streamed && !belongsInFile(streamed) ? [streamed.stream] : [];
  });
}

/** Largest size that a value adds to the weight file; 0 for one that stays in the program. */
export function sizeInFile(value: Value): number {
  const streamed = streamedOf(value);
  return streamed && belongsInFile(streamed) ? storedSize(streamed.stream) : 0;
}

/** A value that streams, and the tensor it is. */
interface Streamed {
  readonly stream: TensorStream;
  readonly dtype: MilDType;
  readonly shape: readonly number[];
}

function streamedOf({ type, streamedValue: stream }: Value): Streamed | undefined {
  if (!stream) return undefined;
  const tensor = tensorTypeOf(type);
  const shape = tensor?.shape.filter((size) => size !== undefined) ?? [];
  if (tensor?.shape.length !== shape.length) throw new Error(`${stream.name} has no fixed shape`);
  return { stream, dtype: tensor.dtype, shape };
}

/**
 * Arrays of fractions from this size on lie in the weight file, as with Apple's converter: large float16 values in the
 * program itself crash the runtime.
 */
export const FEWEST_IN_FILE = 10;

function belongsInFile({ dtype, shape }: Streamed): boolean {
  const { immediate } = milElement(dtype);
  // In a message, the size of other whole numbers depends on their values, which are not read yet.
  const hasFixedSize = immediate === 'bytes' || immediate === 'floats';
  return !hasFixedSize || elementCount(shape) >= FEWEST_IN_FILE;
}

function blobOf({ stream, dtype, shape }: Streamed): Blob {
  const paddingBits = stream.byteLength * 8 - elementCount(shape) * milElement(dtype).bits;
  return {
    name: stream.name,
    byteLength: stream.byteLength,
    dtype,
    paddingBits,
    stream: stream.stream,
    ...(stream.prepare && { prepare: stream.prepare }),
  };
}

function immediateOf({ dtype }: Streamed, bytes: Uint8Array): ImmediateValue {
  if (dtype !== 'fp32') return { tensor: { bytes: { values: bytes } } };
  return { tensor: { floats: { values: Array.from(new Float32Array(bytes.slice().buffer)) } } };
}

function zeros({ byteLength }: TensorStream): Uint8Array {
  return new Uint8Array(byteLength);
}
