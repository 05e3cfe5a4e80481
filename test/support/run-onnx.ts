import { join } from 'node:path';
import ort from 'onnxruntime-node';
import type { OnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

/** The dtypes that tests feed to models and get from them. */
const dtypes = { float32: 'f32', int32: 'i32', int64: 'i64', bool: 'bool' } as const;
const typeNames = { f32: 'float32', i32: 'int32', i64: 'int64', bool: 'bool' } as const;

/** Tensors by name. */
export type Tensors = Readonly<Record<string, TensorData<keyof typeof typeNames>>>;

/** A model that onnxruntime has loaded. */
export interface LoadedModel {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  run(feeds: Tensors): Promise<Tensors>;
  close(): Promise<void>;
}

/** `disabled` runs the graph as it is written: every node once, nothing fused. */
export type Optimization = 'disabled' | 'all';

/** Loads a `model.onnx` with plain onnxruntime, on one thread, so that sums are always added in the same order. */
export async function loadOnnx(folder: string, optimization: Optimization = 'all'): Promise<LoadedModel> {
  const session = await ort.InferenceSession.create(join(folder, 'model.onnx'), {
    graphOptimizationLevel: optimization,
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  return {
    inputs: session.inputNames,
    outputs: session.outputNames,
    async run(feeds) {
      const fed = Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
        name,
        new ort.Tensor(typeNames[dtype], data, shape),
      ]);
      const results = Object.entries(await session.run(Object.fromEntries(fed)));
      return Object.fromEntries(results.map(([name, tensor]) => [name, tensorData(name, tensor)]));
    },
    close: () => session.release(),
  };
}

/** Writes a model into `folder` and runs it once. */
export async function runOnnx(
  model: OnnxModel,
  folder: string,
  feeds: Tensors,
  optimization?: Optimization,
): Promise<Tensors> {
  await writeOnnx(model, folder, () => {});
  const loaded = await loadOnnx(folder, optimization);
  try {
    return await loaded.run(feeds);
  } finally {
    await loaded.close();
  }
}

function tensorData(name: string, { type, data, dims }: ort.Tensor): Tensors[string] {
  if (!(type in dtypes)) throw new Error(`${name} is ${type}`);
  // as: the line above checked that the type is one of the table's, and onnxruntime pairs it with its array.
  return { dtype: dtypes[type as keyof typeof dtypes], shape: dims, data } as Tensors[string];
}
