import type { Weight } from '../weights/weight.ts';
import { pooledControlNet, type RecognizedWeights, recognizeWeights } from './recognize/weight-file-kind.ts';
import { configBeside } from './single-file/yaml-beside.ts';

/** Recognises a weight file by its tensors and the YAML beside it. Throws as `configBeside` does. */
export async function recognizeFile(
  path: string,
  weights: ReadonlyMap<string, Weight>,
): Promise<RecognizedWeights | undefined> {
  const known = recognizeWeights(weights, path);
  if (known?.kind !== 'controlnet') return known;
  return (await configBeside(path))?.isPooled ? pooledControlNet : known;
}
