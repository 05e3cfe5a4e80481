import type * as Ort from 'onnxruntime-web';
import { dtypeOfOrt, ortTypeOf } from '../../src/formats/onnx/run/ort-types.ts';
import type { Runner, ValueInfo } from '../../src/formats/runner.ts';
import type { DType } from '../../src/weights/dtype.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

/** A session of onnxruntime-web as the library runs models. */
export function ortRunner(ort: typeof Ort, session: Ort.InferenceSession, path: string): Runner {
  return {
    path,
    inputs: session.inputMetadata.map(valueInfo),
    outputs: session.outputMetadata.map(valueInfo),
    async run(feeds) {
      const tensors = [...feeds].map(([name, tensor]) => [name, ortTensor(ort, tensor)] as const);
      const results = await session.run(Object.fromEntries(tensors));
      return new Map(Object.entries(results).map(([name, tensor]) => [name, tensorData(name, tensor)]));
    },
    close: () => session.release(),
  };
}

function valueInfo(info: Ort.InferenceSession.ValueMetadata): ValueInfo {
  if (!info.isTensor) throw new Error(`${info.name} is not a tensor`);
  return { name: info.name, dtype: dtypeOfOrt(info.name, info.type), dims: [...info.shape] };
}

function ortTensor(ort: typeof Ort, { dtype, shape, data }: TensorData): Ort.Tensor {
  return new ort.Tensor(ortTypeOf(dtype), elements(dtype, data) as Float32Array, shape);
}

/** Where a browser has Float16Array, onnxruntime takes float16 as that alone. */
function elements(dtype: DType, data: TensorData['data']): ArrayBufferView {
  if (dtype !== 'f16' || !('Float16Array' in globalThis)) return data;
  return new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length); // as: never a shared one
}

function tensorData(name: string, { type, dims, data }: Ort.Tensor): TensorData {
  const dtype = dtypeOfOrt(name, type);
  const view = data as Float32Array; // as: any typed array; all that is read of it here, every one has
  const stored = dtype === 'f16' ? new Uint16Array(view.buffer, view.byteOffset, view.length) : view;
  return { dtype, shape: [...dims], data: stored } as TensorData; // as: each dtype has its array
}
