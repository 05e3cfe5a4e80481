import protobuf from 'protobufjs';
import { RequestError } from '../../../errors.ts';
import { memoryStream, type TensorStream } from '../../../weights/tensor-stream.ts';
import type { FilePart } from '../../artifact.ts';
import type { OnnxModel } from '../build-model.ts';
import { EXTERNAL, encodeGraph, encodeModel, encodeTensor, type TensorProto } from '../proto.ts';

/**
 * An ONNX model with its weights inside, for clients that load one file. A message cannot be built in memory with gigabytes
 * in it, so its fields are laid out here (onnx.proto): the model without its graph, then the graph's small fields, then
 * each weight with its bytes last.
 */

/** Limit of protobuf messages: runtimes refuse larger ones. */
const MOST_BYTES = 2 ** 31 - 1;

/** Field numbers with wire type 2 (length and bytes). */
const GRAPH = (7 << 3) | 2;
const INITIALIZER = (5 << 3) | 2;
const RAW_DATA = (9 << 3) | 2;

/** The parts of the file. No weight is read. Throws `RequestError` if it would be too large for any runtime. */
export function oneFileParts({ proto, dataFiles }: OnnxModel): FilePart[] {
  const streams = new Map(
    dataFiles.flatMap(({ tensors }) => tensors.map(({ tensor }) => [tensor.name, tensor] as const)),
  );
  const { graph, ...rest } = proto;
  const all = graph?.initializer ?? [];
  const isWeight = ({ name, dataLocation }: TensorProto) =>
    dataLocation === EXTERNAL && streams.has(name ?? '');
  const small = { ...graph, initializer: all.filter((each) => !isWeight(each)) };
  const pieces: TensorStream[] = [piece(encodeGraph(small))];
  for (const tensor of all.filter(isWeight)) {
    const { externalData: _, dataLocation: __, ...described } = tensor;
    const stream = streams.get(tensor.name ?? '');
    if (!stream) throw new Error(`${tensor.name} has no data`);
    const head = concat(encodeTensor(described), field(RAW_DATA, stream.byteLength));
    pieces.push(piece(concat(field(INITIALIZER, head.length + stream.byteLength), head)), stream);
  }
  const graphBytes = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const parts: FilePart[] = [];
  for (const tensor of [piece(concat(encodeModel(rest), field(GRAPH, graphBytes))), ...pieces])
    parts.push({ tensor, offset: endOf(parts) });
  if (endOf(parts) <= MOST_BYTES) return parts;
  throw new RequestError({
    problem: `${graph?.name || 'a model'} would be a file of ${(endOf(parts) / 1e9).toFixed(1)} GB, and a model in one file must stay below 2.1 GB.`,
    advice: 'Store its weights in fewer bytes: --precision float16, or --quantize-nbits 8 or fewer.',
  });
}

/** Size of a file with these parts. */
export function endOf(parts: readonly FilePart[]): number {
  const last = parts.at(-1);
  return last ? last.offset + last.tensor.byteLength : 0;
}

function piece(bytes: Uint8Array): TensorStream {
  return memoryStream('model.onnx', bytes);
}

function field(key: number, byteLength: number): Uint8Array {
  return protobuf.Writer.create().uint32(key).uint32(byteLength).finish();
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
