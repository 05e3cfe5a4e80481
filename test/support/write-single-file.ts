import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { renamed, reshaped } from '../../src/weights/derived-weight.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { recordedPlaces } from './single-file.ts';

/** The folder that `writeSingleFile` makes a single file of: a UNet and a VAE of Stable Diffusion 1.x. */
export const wideFolder = join(import.meta.dirname, '../fixtures/sd15-wide-f16');

/** Writes the folder's networks as a single file, under the names that diffusers knows. */
export async function writeSingleFile(path: string): Promise<string> {
  const originals = new Map(
    Object.entries(recordedPlaces('sd15')).flatMap(([name, [, places]]) =>
      places.map((place) => [place, name]),
    ),
  );
  const checkpoint = await openCheckpoint(wideFolder);
  const weights: Weight[] = [];
  for (const { name: part, weights: own } of checkpoint.components.values()) {
    for (const weight of own.values()) {
      const name = originals.get(`${part}/${weight.name}`);
      if (name === undefined) throw new Error(`${weight.name} has no original name`);
      const isConvolution = /\.attn_1\.\w+\.weight$/.test(name) && weight.shape.length === 2;
      weights.push(renamed(isConvolution ? reshaped(weight, [...weight.shape, 1, 1]) : weight, name));
    }
  }
  await writeSafetensors(path, weights);
  await checkpoint.close();
  return path;
}
