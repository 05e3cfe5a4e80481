import type { Graph } from '../../src/graph/graph.ts';
import { buildOnnxModel } from '../../src/emit/onnx/build-model.ts';
import { writeOnnx } from '../../src/emit/onnx/write-onnx.ts';
import { psnr } from '../../src/validate/psnr.ts';
import { expectedOf, feedsOf, type Golden } from './goldens.ts';
import { loadOnnx, type Optimization } from './run-onnx.ts';

/**
 * Writes a network of optimum's contract into `folder`, runs it on every recorded call, and gives the PSNR in dB of the
 * output that is furthest from what diffusers gave.
 */
export async function agreement(
  graph: Graph,
  goldens: readonly Golden[],
  { folder, rounding, optimization = 'disabled' }: { folder: string; rounding: '' | '_w16'; optimization?: Optimization },
): Promise<number> {
  if (goldens.length === 0) throw new Error('nothing is recorded');
  await writeOnnx(buildOnnxModel(graph, {}), folder, () => {});
  const model = await loadOnnx(folder, optimization);
  try {
    const found: number[] = [];
    for (const golden of goldens) {
      const outputs = await model.run(feedsOf(golden, model.inputs));
      for (const name of model.outputs) {
        const { data } = outputs[name] ?? {};
        if (!(data instanceof Float32Array)) throw new Error(`${name} is not float32`);
        found.push(psnr(expectedOf(golden, name, rounding), data));
      }
    }
    return Math.min(...found);
  } finally {
    await model.close();
  }
}
