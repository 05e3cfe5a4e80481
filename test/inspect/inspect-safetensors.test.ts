import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { inspect } from '../../src/inspect/inspect.ts';
import type { SafetensorsInspection } from '../../src/inspect/inspection.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const fixture = new URL('../fixtures/sd21', import.meta.url).pathname;
const goldens = new URL('../goldens/sd21', import.meta.url).pathname;

async function inspectSafetensors(path: string): Promise<SafetensorsInspection> {
  const inspection = await inspect(path);
  if (inspection.kind !== 'safetensors') throw new Error(`it was taken for ${inspection.kind}`);
  return inspection;
}

function zeros(name: string, shape: readonly number[]): NamedTensor {
  return {
    name,
    dtype: 'f32',
    shape,
    data: new Float32Array(shape.reduce((count, size) => count * size, 1)),
  };
}

test('a component, its folder or its file, leads to the checkpoint around it', async () => {
  const folder = await inspectSafetensors(`${fixture}/unet`);
  expect(folder).toMatchObject({
    what: 'a UNet alone',
    className: 'UNet2DConditionModel',
    family: 'Stable Diffusion 2.x',
    tensors: 686,
    next: { command: `sdconvert inspect ${fixture}` },
  });
  const file = await inspectSafetensors(`${fixture}/unet/diffusion_pytorch_model.safetensors`);
  expect({ ...file, path: folder.path }).toEqual({ ...folder, metadata: file.metadata });
});

test('a LoRA says for which family it is and that it needs a checkpoint', async () => {
  const name = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k';
  await writeSafetensors(at('lora.safetensors'), [
    zeros(`${name}.lora_down.weight`, [4, 768]),
    zeros(`${name}.lora_up.weight`, [320, 4]),
  ]);
  expect(await inspectSafetensors(at('lora.safetensors'))).toMatchObject({
    what: expect.stringContaining('a LoRA'),
    family: 'Stable Diffusion 1.x',
    parameters: 4 * 768 + 320 * 4,
    weights: [{ stored: 'float32', tensors: 2, byteLength: 4 * (4 * 768 + 320 * 4) }],
    next: { advice: expect.stringContaining('checkpoint') },
  });
});

test.for([
  ['unet', 5],
  ['text_encoder', 4],
  ['vae_decoder', 2],
  ['vae_encoder', 2],
] as const)(
  'recorded inputs and outputs of the %s are known, with their shapes',
  async ([network, count]) => {
    const path = `${goldens}/${network}.safetensors`;
    const found = await inspectSafetensors(path);
    expect(found.what).toBe(`recorded inputs and outputs of the ${network}`);
    expect(found.values).toHaveLength(count);
    expect(found.metadata.source).toContain('diffusers');
    expect(found.next).toEqual({ command: `sdconvert validate MODEL --reference ${path}` });
  },
);

test('tensors of no known kind are listed', async () => {
  await writeSafetensors(at('other.safetensors'), [zeros('sample', [1, 2]), zeros('something', [])]);
  expect(await inspectSafetensors(at('other.safetensors'))).toMatchObject({
    what: 'tensors of no kind that is known',
    values: [
      { name: 'sample', dtype: 'float32', shape: [1, 2] },
      { name: 'something', dtype: 'float32', shape: [] },
    ],
  });
});

test('a safetensors file is known by its contents, whatever its name', async () => {
  cpSync(`${goldens}/unet.safetensors`, at('download'));
  expect((await inspectSafetensors(at('download'))).tensors).toBe(5);
});

test('a file that is cut short is described as that', async () => {
  await writeSafetensors(at('whole.safetensors'), [zeros('weight', [1000])]);
  writeFileSync(at('cut.safetensors'), readFileSync(at('whole.safetensors')).subarray(0, -7));
  expect(await inspect(at('cut.safetensors'))).toMatchObject({
    kind: 'other',
    problems: [expect.stringContaining('cut short: 7 bytes are missing')],
    next: { advice: expect.stringContaining('again') },
  });
});
