import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { renamed, reshaped } from '../../src/weights/derived-weight.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { bytesOf, readTensor } from '../../src/weights/tensor-data.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { openWeightFile } from '../../src/weights/weight-file.ts';
import { type GgufTensorBytes, ggufFile } from '../support/gguf-bytes.ts';
import { recordedPlaces } from '../support/single-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const folder = 'test/fixtures/sd15-wide-f16';

/** The folder's networks as a single file, under the names that diffusers knows. */
async function writeSingleFile(path: string): Promise<void> {
  const originals = new Map(
    Object.entries(recordedPlaces('sd15')).flatMap(([name, [, places]]) =>
      places.map((place) => [place, name]),
    ),
  );
  const checkpoint = await openCheckpoint(folder);
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
}

/** The same tensors as GGUF, in float16. */
async function writeGguf(from: string, path: string): Promise<void> {
  const { weights, close } = await openWeightFile(from);
  const tensors: GgufTensorBytes[] = [];
  for (const weight of weights.values()) {
    const data = bytesOf(await readTensor(weight, 'f16'));
    tensors.push({ name: weight.name, sizes: weight.shape.toReversed(), type: 1, data });
  }
  writeFileSync(path, ggufFile({ tensors }));
  await close();
}

test('a folder, its single file and that as GGUF convert to the same bytes', {
  timeout: 60_000,
}, async () => {
  await writeSingleFile(at('sd15-wide-f16.safetensors'));
  await writeGguf(at('sd15-wide-f16.safetensors'), at('sd15-wide-f16.gguf'));
  const sizes = { latentHeight: 16, latentWidth: 16 };
  const models = ['unet', 'vae_decoder', 'vae_encoder'] as const;
  const [fromFolder, ...fromFiles] = await Promise.all(
    [folder, at('sd15-wide-f16.safetensors'), at('sd15-wide-f16.gguf')].map((modelVersion, index) =>
      convertCheckpoint({ modelVersion, models, sizes, output: at(`output-${index}`), bundle: false }),
    ),
  );
  const names =
    fromFolder?.artifacts.flatMap(({ path, files }) => files.map(({ name }) => `${path}/${name}`)) ?? [];
  expect(names.filter((name) => /(model\.onnx|onnx_data|weight\.bin|mlmodel)$/.test(name))).toHaveLength(12);
  for (const name of names.filter((each) => !each.endsWith('.json'))) {
    const one = readFileSync(`${fromFolder?.output}/${name}`);
    for (const { output } of fromFiles)
      expect(one.equals(readFileSync(`${output}/${name}`)), name).toBe(true);
  }
});
