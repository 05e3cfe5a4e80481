/**
 * Converts several forms of one checkpoint (its folder, its single files) and checks that the same models are written,
 * byte for byte. Sizes are those of the first, which is to be the folder. Prints a line for each file, and how many passed.
 *
 *     node scripts/same-bytes.ts WORK FOLDER FILE...
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { convertCheckpoint } from '../src/commands/convert.ts';

const [work, folder, ...files] = process.argv.slice(2);
if (!work || !folder || files.length === 0)
  throw new Error('usage: node scripts/same-bytes.ts WORK FOLDER FILE...');

/** What only a folder has of its own is not compared: configs, the scheduler, the tokenizer's spelling. */
const isModel = /(\.onnx|\.onnx_data|\.mlmodel|\/weight\.bin|\.mil|\/coremldata\.bin)$/;
const { sample_size: size } = JSON.parse(readFileSync(join(folder, 'unet', 'config.json'), 'utf8'));

let [passed, failed] = [0, 0];
const expected = await hashesOf(folder, 0);
for (const [at, file] of files.entries()) {
  const found = await hashesOf(file, at + 1);
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    const isSame = expected.get(name) === found.get(name);
    isSame ? passed++ : failed++;
    console.log(`${isSame ? 'same' : 'DIFFERENT'}  ${file}  ${name}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** SHA-256 of each model file of a conversion. The name of a checkpoint is in its models, so all forms get the same. */
async function hashesOf(source: string, at: number): Promise<Map<string, string>> {
  const place = join(work ?? '', String(at));
  mkdirSync(place, { recursive: true });
  const modelVersion = join(place, `model${source === folder ? '' : extname(source)}`);
  symlinkSync(resolve(source), modelVersion);
  const { artifacts, output } = await convertCheckpoint({
    modelVersion,
    output: join(place, 'output'),
    models: ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'],
    sizes: { latentHeight: size, latentWidth: size },
  });
  const names = artifacts.flatMap(({ path, files }) => files.map(({ name }) => `${path}/${name}`));
  return new Map(
    names
      .filter((name) => isModel.test(name))
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(output, name)))
          .digest('hex'),
      ]),
  );
}
