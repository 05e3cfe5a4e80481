import { expect, test } from 'vitest';
import { describeLora } from '../../../src/checkpoint/lora/describe-lora.ts';
import { writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const inFolder = temporaryFolder();

test.each([
  ['peft', { format: 'PEFT', kinds: ['LoRA'], decomposed: false, ranks: [3] }],
  ['peft-dora', { format: 'PEFT', kinds: ['LoRA'], decomposed: true, ranks: [3] }],
  ['kohya', { format: 'kohya', kinds: ['LoRA'], decomposed: false, ranks: [3] }],
  ['loha-tucker', { format: 'kohya', kinds: ['LoHa'], decomposed: false, ranks: [2] }],
  ['lokr', { format: 'kohya', kinds: ['LoKr'], decomposed: false, ranks: [2] }],
])('%s is described', async (name, facts) => {
  expect(await describeLora(`test/goldens/lora/${name}.safetensors`)).toMatchObject({
    ...facts,
    networks: { unet: 5, text_encoder: 1 },
    targets: 6,
    unknown: [],
    // A LoRA shows that the attention is entered by a convolution; the width of the text is not among these layers.
    family: facts.kinds[0] === 'LoRA' ? 'Stable Diffusion 1.x' : null,
  });
});

test('whole matrices have no rank', async () => {
  expect(await describeLora('test/goldens/lora/lokr-whole.safetensors')).toMatchObject({ ranks: [] });
});

test.each([
  ['lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k', 768, 'Stable Diffusion 1.x'],
  ['lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k', 1024, 'Stable Diffusion 2.x'],
  ['lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k', 2048, 'Stable Diffusion XL'],
  ['lora_te2_text_model_encoder_layers_0_mlp_fc1', 1280, 'Stable Diffusion XL'],
  ['lora_unet_single_blocks_0_linear1', 3072, 'a transformer such as Flux or Stable Diffusion 3'],
  ['lora_te_text_model_encoder_layers_0_mlp_fc1', 768, null],
])('%s of %d inputs is of %s', async (module, inputs, family) => {
  const path = inFolder(`${module}-${inputs}.safetensors`);
  const ones = (name: string, shape: readonly [number, number]) => {
    return { name, dtype: 'f32', shape, data: new Float32Array(shape[0] * shape[1]) } as const;
  };
  await writeSafetensors(
    path,
    [ones(`${module}.lora_down.weight`, [2, inputs]), ones(`${module}.lora_up.weight`, [320, 2])],
    { ss_sd_model_name: 'a model' },
  );
  expect(await describeLora(path)).toMatchObject({ family, baseModel: 'a model' });
});
