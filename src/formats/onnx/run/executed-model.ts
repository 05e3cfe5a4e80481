import { join } from 'node:path';
import { readBytes } from '../../../io/disk.ts';
import type { ValueInfo } from '../../runner.ts';
import type { OnnxModel } from '../build-model.ts';
import {
  dataTypes,
  decodeModel,
  EXTERNAL,
  encodeModel,
  type ModelProto,
  type TensorProto,
  type ValueInfoProto,
} from '../proto.ts';
import { type OnnxInMemory, openOnnxSession, type SessionOptions } from './onnx-session.ts';

/**
 * The graph that onnxruntime makes of a model before it computes, not optimised: in the order of computation, the bodies of
 * functions in the place of their calls (GroupNormalization), casts around operations that have no float16 form on this
 * machine. Those casts depend on an operation's neighbours, and two that meet are dropped, so that values between are not
 * rounded: a model that is cut before this rounds elsewhere than the whole, one that is cut after it computes the same
 * bits.
 */

/** What is asked about. */
interface AskedFor extends Pick<OnnxInMemory, 'path' | 'isTranslation'> {
  /** Folder for temporary files. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/** Sizes of a model's inputs, by name. */
export type InputShapes = ReadonlyMap<string, readonly number[]>;

/**
 * Asks onnxruntime for the graph that it computes for inputs of these shapes. The answer declares the dtype of every
 * value, and its shape as far as it is known; its weights are the model's. None is read: they need not even be in their
 * files yet. Temporary files go to `folder`. Throws `InterruptedError`, and as `openOnnxSession` does.
 */
export async function executedModel(
  { proto, dataFiles }: OnnxModel,
  shapes: InputShapes,
  { path, folder, isTranslation, signal }: AskedFor,
): Promise<OnnxModel> {
  const file = join(folder, 'executed.onnx');
  const stored = (proto.graph?.initializer ?? []).filter(isExternal);
  const asked = encodeModel(withWeightsAsInputs(proto, shapes));
  const model = { path, bytes: asked, dataFolder: folder, isTranslation };
  await (await openOnnxSession(model, { ...toAsk(signal), saveGraphTo: file })).close();
  const executed = decodeModel(await readBytes(file));
  const types = (await typesOf(executed, { path, folder, signal })).map(valueInfoOf);
  const { graph } = executed;
  const weights = new Set(stored.map(({ name }) => name));
  const byName = new Map(types.map((info) => [info.name, info]));
  const outputs = new Map((graph?.output ?? []).map((info) => [info.name, byName.get(info.name) ?? info]));
  return {
    dataFiles,
    proto: {
      ...executed,
      graph: {
        ...graph,
        initializer: [...(graph?.initializer ?? []), ...stored],
        input: (graph?.input ?? []).filter(({ name }) => !weights.has(name)),
        output: [...outputs.values()],
        valueInfo: types.filter(({ name }) => !outputs.has(name)),
      },
    },
  };
}

/** Weights of 4 bits are of a type that no value of a model has. Graphs of large models leave much in the allocator. */
function toAsk(signal: AbortSignal | undefined): SessionOptions {
  return { optimize: false, skipUnknownTypes: true, host: { ownProcess: true, signal } };
}

/** Weights are as good as inputs here: what is made of the graph depends on their types only. */
function withWeightsAsInputs(proto: ModelProto, shapes: InputShapes): ModelProto {
  const { graph } = proto;
  const initializers = graph?.initializer ?? [];
  const names = new Set(initializers.map(({ name }) => name));
  const inputs = (graph?.input ?? []).filter(({ name }) => !names.has(name));
  return {
    ...proto,
    graph: {
      ...graph,
      initializer: initializers.filter((tensor) => !isExternal(tensor)),
      input: [
        ...inputs.map((info) => withShape(info, shapes.get(info.name ?? ''))),
        ...initializers.filter(isExternal).map(asInput),
      ],
      output: (graph?.output ?? []).map((info) => withShape(info, undefined)),
      // Declared with free sizes, which the fixed ones of the inputs need not equal by name.
      valueInfo: [],
    },
  };
}

function withShape({ name, type }: ValueInfoProto, shape: readonly number[] | undefined): ValueInfoProto {
  const elemType = type?.tensorType?.elemType ?? null;
  const sizes = shape && { shape: { dim: shape.map((dimValue) => ({ dimValue })) } };
  return { name: name ?? '', type: { tensorType: { elemType, ...sizes } } };
}

function asInput({ name, dims, dataType }: TensorProto): ValueInfoProto {
  const shape = { dim: (dims ?? []).map((dimValue) => ({ dimValue })) };
  return { name: name ?? '', type: { tensorType: { elemType: dataType ?? null, shape } } };
}

/** The types of all computed values: onnxruntime tells those of outputs, so all are made outputs. */
async function typesOf(
  { graph, ...model }: ModelProto,
  { path, folder, signal }: AskedFor,
): Promise<readonly ValueInfo[]> {
  const names = (graph?.node ?? []).flatMap(({ output }) => output ?? []).filter((name) => name !== '');
  const output = names.map((name) => ({ name }));
  const bytes = encodeModel({ ...model, graph: { ...graph, output, valueInfo: [] } });
  const session = await openOnnxSession({ path, bytes, dataFolder: folder }, toAsk(signal));
  await session.close();
  return session.outputs;
}

function valueInfoOf({ name, dtype, dims }: ValueInfo): ValueInfoProto {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: dataTypes[dtype], shape: { dim } } } };
}

function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === EXTERNAL;
}
