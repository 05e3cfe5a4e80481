import { modelProto, valueInfo } from '../formats/onnx/build-model.ts';
import { onnxNode } from '../formats/onnx/onnx-writer.ts';
import { encodeModel } from '../formats/onnx/proto.ts';
import { openOnnxSession } from '../formats/onnx/run/onnx-session.ts';

/** Rows and columns of the matrices that are multiplied: large enough for all cores. */
const SIZE = 1024;
const ROUNDS = 4;

/** Share of that speed which networks reach: 17 minutes were said, 21 taken, by a check of a UNet on a busy machine. */
const SHARE = 0.4;

let measured: Promise<number> | undefined;

/**
 * Products of elements that onnxruntime adds up in a second in networks, about, on this machine as busy as it is: by
 * multiplying matrices for a moment, once in a process.
 */
export function productsPerSecond(): Promise<number> {
  measured ??= measure();
  return measured;
}

async function measure(): Promise<number> {
  const matrix = (name: string) => valueInfo(name, { dtype: 'f32', shape: [SIZE, SIZE] });
  const graph = {
    name: 'speed',
    node: [onnxNode('MatMul', ['a', 'b'], 'c')],
    input: [matrix('a'), matrix('b')],
    output: [matrix('c')],
  };
  const model = { path: 'a product of matrices', bytes: encodeModel(modelProto(graph, {})), dataFolder: '.' };
  const session = await openOnnxSession(model, { optimize: false });
  try {
    const data = new Float32Array(SIZE * SIZE).fill(1);
    const feeds = new Map(
      ['a', 'b'].map((name) => [name, { dtype: 'f32', shape: [SIZE, SIZE], data } as const]),
    );
    const start = performance.now();
    for (let round = 0; round < ROUNDS; round++) await session.run(feeds);
    return (SHARE * ROUNDS * SIZE ** 3) / ((performance.now() - start) / 1000);
  } finally {
    await session.close();
  }
}
