import type { Weight } from '../weights/weight.ts';
import { pooledControlNet, type RecognizedWeights, recognizeWeights } from './recognize/weight-file-kind.ts';
import { configBeside } from './single-file/yaml-beside.ts';

/** What a file on the disk is, by its tensors and by the configuration beside it. Throws as `configBeside` does. */
export async function recognizeFile(
  path: string,
  weights: ReadonlyMap<string, Weight>,
): Promise<RecognizedWeights | undefined> {
  const known = recognizeWeights(weights, path);
  if (known?.kind !== 'controlnet') return known;
  return (await configBeside(path))?.isPooled ? pooledControlNet : known;
}
