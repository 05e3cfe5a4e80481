import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { type NetworkRequest, writtenNetwork } from './run-network.ts';

/** What a written network gives for each row of its only input: all at once, or, as Core ML's take one picture, one by one. */
export async function runRows(
  checkpoint: Checkpoint,
  request: NetworkRequest,
  { data, shape: [rows = 0, ...rest] }: TensorData<'f32'>,
  path: string,
): Promise<Float32Array[]> {
  const runner = await writtenNetwork(checkpoint, request, path);
  try {
    const [input, output] = [runner.inputs[0]?.name ?? '', runner.outputs[0]?.name ?? ''];
    const size = data.length / rows;
    const results: Float32Array[] = [];
    const step = request.format === 'coreml' ? 1 : rows;
    for (let row = 0; row < rows; row += step) {
      const part = data.slice(row * size, (row + step) * size);
      const feeds = new Map([[input, { dtype: 'f32', shape: [step, ...rest], data: part } as const]]);
      const result = (await runner.run(feeds)).get(output);
      if (result?.dtype !== 'f32') throw new Error(`${output} is not float32`);
      const length = result.data.length / step;
      for (let i = 0; i < step; i++) results.push(result.data.subarray(i * length, (i + 1) * length));
    }
    return results;
  } finally {
    await runner.close();
  }
}
