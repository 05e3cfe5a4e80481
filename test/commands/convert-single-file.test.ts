import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { bytesOf, readTensor } from '../../src/weights/tensor-data.ts';
import { openWeightFile } from '../../src/weights/weight-file.ts';
import { type GgufTensorBytes, ggufFile } from '../support/gguf-bytes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { wideFolder, writeSingleFile } from '../support/write-single-file.ts';

const at = temporaryFolder();

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
    [wideFolder, at('sd15-wide-f16.safetensors'), at('sd15-wide-f16.gguf')].map((modelVersion, index) =>
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
