import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ended, paddedWithZeros } from '../../../../src/formats/coreai/contract/padding.ts';
import { buildOnnxModel } from '../../../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../../../src/formats/onnx/write-onnx.ts';
import { ClipTokenizer } from '../../../../src/generate/clip-tokenizer.ts';
import { GraphBuilder } from '../../../../src/graph/graph.ts';
import { type LoadedModel, loadOnnx } from '../../../support/run-onnx.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const END = 49407;
const inFolder = temporaryFolder();
const root = new URL('../../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

// transformers 5.23.0, CLIPTokenizer, 80 prompts, padded with the end token: `ids` are those before truncation.
const golden: { prompt: string; ids: number[]; ids77: number[] }[] = JSON.parse(
  read('test/goldens/tokenizer/hf5.json'),
);

/** Pads with `!`, as that of Stable Diffusion 2.x and the second one of XL. */
const tokenizer = ClipTokenizer.fromFiles({
  vocab: read('models/sd-shapes/tokenizer/vocab.json'),
  merges: read('models/sd-shapes/tokenizer/merges.txt'),
  config: JSON.parse(read('models/sd-shapes/tokenizer/tokenizer_config.json')),
  specialTokensMap: { pad_token: '!' },
});

let model: LoadedModel;
beforeAll(async () => {
  const builder = new GraphBuilder();
  const ids = builder.input('input_ids', { dtype: 'i32', shape: [1, 77] });
  const whole = ended(ids, END);
  const outputs = [
    { name: 'ended', tensor: whole },
    { name: 'padded', tensor: paddedWithZeros(whole, END) },
  ];
  await writeOnnx(buildOnnxModel(builder.finish(outputs), {}), inFolder('padding'), () => {});
  model = await loadOnnx(inFolder('padding'));
});
afterAll(() => model.close());

async function computed(ids: readonly number[]): Promise<{ ended: number[]; padded: number[] }> {
  const outputs = await model.run({
    input_ids: { dtype: 'i32', shape: [1, 77], data: Int32Array.from(ids) },
  });
  const idsOf = (name: string) => Array.from(outputs[name]?.data ?? [], Number);
  return { ended: idsOf('ended'), padded: idsOf('padded') };
}

/** As Apple's tokenizer fills up, or cuts off: with no regard to the end token. */
function apples(ids: readonly number[]): number[] {
  return [...ids, ...Array<number>(77).fill(END)].slice(0, 77);
}

/** What transformers takes out of a text before it cuts it into words: special tokens, and of punctuation the padding. */
const isTakenOut = ({ prompt }: { prompt: string }) => /<\||[^\s\p{L}\p{N}]!|![^\s\p{L}\p{N}]/u.test(prompt);

test('ids that Apple pads or cuts off become what transformers gives', async () => {
  expect(golden.some(({ ids }) => ids.length > 77)).toBe(true);
  for (const { prompt, ids, ids77 } of golden)
    expect((await computed(apples(ids))).ended, prompt).toEqual(ids77);
});

test('and for models that pad with id 0, what transformers gives there', async () => {
  const prompts = golden.filter((each) => !isTakenOut(each));
  expect(prompts.length).toBeGreaterThan(60);
  expect(prompts.some(({ prompt }) => prompt.includes('!'))).toBe(true);
  for (const { prompt, ids } of prompts)
    expect((await computed(apples(ids))).padded, prompt).toEqual(tokenizer.encode(prompt, { maxLength: 77 }));
});

test('ids as transformers pads them for these models stay as they are', async () => {
  for (const prompt of ['', 'a photo of a cat', 'hello! wow!!']) {
    const ids = tokenizer.encode(prompt, { maxLength: 77 });
    expect((await computed(ids)).padded).toEqual(ids);
  }
});
