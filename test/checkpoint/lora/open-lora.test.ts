import { describe, expect, test } from 'vitest';
import { readChange } from '../../../src/checkpoint/lora/module-change.ts';
import { openLora } from '../../../src/checkpoint/lora/open-lora.ts';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../../src/errors.ts';
import { writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf, thrownBy } from '../../support/thrown-by.ts';

const inFolder = temporaryFolder();
let written = 0;

test('alpha is what the metadata of diffusers says of a module, else of its network', async () => {
  const settings = {
    'unet.lora_alpha': 5,
    'unet.alpha_pattern': { 'attn1.to_q': 2 },
    'unet.use_rslora': true,
    'text_encoder.lora_alpha': 3,
  };
  const keys = ['unet.mid.attn1.to_q', 'unet.mid.attn2.to_q', 'unet.mid.xattn1.to_q', 'text_encoder.fc1'];
  const lora = await openLora(
    await write(
      keys.flatMap((key) => [`${key}.lora_A.weight`, `${key}.lora_B.weight`]),
      { lora_adapter_metadata: JSON.stringify(settings) },
    ),
  );
  expect(lora.modules.map(({ defaults }) => defaults)).toEqual(
    lora.modules.map(({ module }) => {
      if (module === keys[0]) return { alpha: 2, rankStabilized: true };
      return module === keys[3] ? { alpha: 3, rankStabilized: false } : { alpha: 5, rankStabilized: true };
    }),
  );
  await lora.close();
});

test('where the metadata of diffusers has none of a network, alpha is PEFT’s, and that of the rank without settings', async () => {
  const keys = ['unet.mid.to_q', 'text_encoder.fc1'].flatMap((key) => [
    `${key}.lora_A.weight`,
    `${key}.lora_B.weight`,
  ]);
  const lora = await openLora(
    await write(keys, { lora_adapter_metadata: JSON.stringify({ 'unet.r': 2, 'unet.use_rslora': false }) }),
  );
  const alphas = lora.modules.map(({ module, defaults }) => [module, defaults.alpha]);
  expect(Object.fromEntries(alphas)).toEqual({ 'unet.mid.to_q': 8, 'text_encoder.fc1': undefined });
  await lora.close();
});

test.each([{ 'unet.lora_alpha': '5' }, { 'text_encoder.use_rslora': 1 }, [5]])(
  'metadata of diffusers with a setting of the wrong type is refused: %j',
  async (settings) => {
    const file = await write(['unet.fc.lora_A.weight', 'unet.fc.lora_B.weight'], {
      lora_adapter_metadata: JSON.stringify(settings),
    });
    await expect(openLora(file)).rejects.toThrow(`the lora_adapter_metadata of ${file} has a setting of`);
  },
);

describe('what is not merged is refused by name', () => {
  test.each([
    ['lora_unet_conv_in.oft_blocks', 'OFT'],
    ['lora_unet_conv_in.a1.weight', 'GLoRA'],
    ['lora_unet_conv_in.on_input', 'IA3'],
    ['unet.conv_in.lora_B.bias', 'a LoRA with biases'],
    ['text_encoder.embeddings.lora_embedding_A', 'a LoRA of token embeddings'],
  ])('%s: %s', async (name, what) => {
    const path = await write([
      'lora_unet_conv_in.lora_down.weight',
      'lora_unet_conv_in.lora_up.weight',
      name,
    ]);
    const error = await rejectionOf(openLora(path));
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toBe(`${path} is ${what}, which is not supported.`);
  });
});

test('a file that is no LoRA is refused', async () => {
  const path = await write(['weight']);
  const error = await rejectionOf(openLora(path));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toBe(`${path} is not a LoRA.`);
  expect(error.details.found).toBe('weight');
});

test('a file that is something else is called what it is', async () => {
  const path = await write(['decoder.conv_in.weight']);
  const error = await rejectionOf(openLora(path));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toContain(`${path} is a VAE`);
});

test('a file that is not there is refused', async () => {
  expect(await rejectionOf(openLora(inFolder('nothing.safetensors')))).toBeInstanceOf(NotFoundError);
});

test('a module that is there twice, in two spellings, is refused', async () => {
  const path = await write(['unet.conv_in.lora_A.weight', 'lora_unet_conv_in.lora_down.weight']);
  const error = await rejectionOf(openLora(path));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`${path} changes a module twice.`);
});

describe('factors that cannot be multiplied are refused', () => {
  test.each<[string, Readonly<Record<string, readonly number[]>>, string]>([
    ['one is missing', { 'lora_down.weight': [2, 4] }, 'lacks a tensor of a module'],
    [
      'no rank',
      { 'lora_down.weight': [0, 4], 'lora_up.weight': [4, 0] },
      'has a tensor that is not a matrix',
    ],
    ['two ranks', { 'lora_down.weight': [2, 4], 'lora_up.weight': [4, 3] }, 'do not fit each other'],
    [
      'a core of another rank',
      { 'lora_down.weight': [2, 4], 'lora_up.weight': [4, 2], 'lora_mid.weight': [3, 3, 3, 3] },
      'do not fit each other',
    ],
    [
      'two sizes in a LoHa',
      { hada_w1_a: [4, 2], hada_w1_b: [2, 4], hada_w2_a: [4, 2], hada_w2_b: [2, 5] },
      'do not fit each other',
    ],
    [
      'lengths for other rows',
      { 'lora_down.weight': [2, 4], 'lora_up.weight': [4, 2], dora_scale: [3, 1] },
      'do not fit each other',
    ],
  ])('%s', async (_, parts, problem) => {
    const path = inFolder(`${written++}.safetensors`);
    await writeSafetensors(
      path,
      Object.entries(parts).map(([part, shape]) => ones(`lora_unet_conv_in.${part}`, shape)),
    );
    const lora = await openLora(path);
    const error = thrownBy(() => lora.modules.map(readChange));
    await lora.close();
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain(`${path} `);
    expect(error.problem).toContain(problem);
  });
});

async function write(names: readonly string[], metadata?: Readonly<Record<string, string>>): Promise<string> {
  const path = inFolder(`${written++}.safetensors`);
  await writeSafetensors(
    path,
    names.map((name) => ones(name, [2, 2])),
    metadata,
  );
  return path;
}

function ones(name: string, shape: readonly number[]) {
  const data = new Float32Array(shape.reduce((a, b) => a * b)).fill(1);
  return { name, dtype: 'f32', shape, data } as const;
}
