/**
 * Builds every graph of a model at its real size, without weights, and prints how many seconds that took the first time.
 *
 *     node benchmarks/build-graphs.ts sd15|sd21|sd21-base ATTENTION
 */
import { type AttentionImplementation, attentionImplementations } from '../src/convert/blocks/attention.ts';
import { convert } from '../src/convert/convert.ts';
import { targets } from '../src/formats/targets.ts';
import { type FullSizeModel, fullSizeCheckpoint, fullSizeModels } from './full-size.ts';

/** Seconds that the graphs of all of a model's networks take, and how many tensors they have. */
export function buildGraphs(model: FullSizeModel, attention: AttentionImplementation) {
  const checkpoint = fullSizeCheckpoint(model);
  const start = performance.now();
  const models = convert(checkpoint, { contract: targets.onnx.contract, attention, sizes: {} });
  const seconds = (performance.now() - start) / 1000;
  return {
    seconds,
    graphs: models.length,
    tensors: models.reduce((sum, { graph }) => sum + graph.tensors.length, 0),
  };
}

if (import.meta.main) {
  const model = fullSizeModels.find((name) => name === process.argv[2]);
  const attention = attentionImplementations.find((name) => name === process.argv[3]);
  if (!model || !attention)
    throw new Error('usage: node benchmarks/build-graphs.ts sd15|sd21|sd21-base ATTENTION');
  console.log(JSON.stringify(buildGraphs(model, attention)));
}
