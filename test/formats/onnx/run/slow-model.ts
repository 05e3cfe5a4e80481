import { modelProto, valueInfo } from '../../../../src/formats/onnx/build-model.ts';
import { encodeModel } from '../../../../src/formats/onnx/proto.ts';
import type { OnnxInMemory } from '../../../../src/formats/onnx/run/onnx-session.ts';

const SIZE = 2048;
/** Products one after another: more than a minute of any machine of today. */
const PRODUCTS = 2000;

/** A model without inputs that computes for minutes. */
export function slowModel(): OnnxInMemory {
  const shape = { name: 'shape', dataType: 7, dims: [2], int64Data: [SIZE, SIZE] };
  const graph = {
    name: 'slow',
    initializer: [shape],
    node: [
      { opType: 'ConstantOfShape', input: ['shape'], output: ['0'] },
      ...Array.from({ length: PRODUCTS }, (_, at) => ({
        opType: 'MatMul',
        input: [`${at}`, '0'],
        output: [`${at + 1}`],
      })),
    ],
    input: [],
    output: [valueInfo(`${PRODUCTS}`, { dtype: 'f32', shape: [SIZE, SIZE] })],
  };
  return { path: 'a slow model', bytes: encodeModel(modelProto(graph, {})), dataFolder: '.' };
}
