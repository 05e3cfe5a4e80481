import { expect, test } from 'vitest';
import { parseLoraKey } from '../../../src/checkpoint/lora/lora-key.ts';

const attention = 'down_blocks_0_attentions_0_transformer_blocks_0_attn1';
const dotted = 'down_blocks.0.attentions.0.transformer_blocks.0.attn1';
const text = 'text_model_encoder_layers_0_self_attn_q_proj';

test.each([
  // PEFT, with and without the adapter's name
  [`unet.${dotted}.to_q.lora_A.weight`, ['unet'], `${attention}_to_q`, 'down'],
  [`unet.${dotted}.to_out.0.lora_B.default.weight`, ['unet'], `${attention}_to_out_0`, 'up'],
  [`unet.${dotted}.to_q.lora_magnitude_vector`, ['unet'], `${attention}_to_q`, 'magnitude'],
  [`base_model.model.${dotted}.to_q.lora_A.weight`, ['unet', 'text_encoder'], `${attention}_to_q`, 'down'],
  // diffusers, from new to old
  [`unet.${dotted}.to_q.lora.down.weight`, ['unet'], `${attention}_to_q`, 'down'],
  [`unet.${dotted}.processor.to_q_lora.down.weight`, ['unet'], `${attention}_to_q`, 'down'],
  [`${dotted}.processor.to_out_lora.up.weight`, ['unet', 'text_encoder'], `${attention}_to_out_0`, 'up'],
  [
    'text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.down.weight',
    ['text_encoder'],
    text,
    'down',
  ],
  [
    'text_encoder_2.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight',
    ['text_encoder_2'],
    text,
    'up',
  ],
  // kohya and LyCORIS
  [`lora_unet_${attention}_to_q.lora_down.weight`, ['unet'], `${attention}_to_q`, 'down'],
  [`lora_unet_${attention}_to_q.lora_mid.weight`, ['unet'], `${attention}_to_q`, 'mid'],
  [`lora_unet_${attention}_to_q.alpha`, ['unet'], `${attention}_to_q`, 'alpha'],
  [`lora_unet_${attention}_to_q.dora_scale`, ['unet'], `${attention}_to_q`, 'dora_scale'],
  [`lora_unet_${attention}_to_q.hada_w1_a`, ['unet'], `${attention}_to_q`, 'hada_w1_a'],
  [`lora_unet_${attention}_to_q.lokr_w1`, ['unet'], `${attention}_to_q`, 'lokr_w1'],
  [`lora_unet_${attention}_to_q.lokr_t2`, ['unet'], `${attention}_to_q`, 'lokr_t2'],
  [`lora_te_${text}.lora_up.weight`, ['text_encoder'], text, 'up'],
  [`lora_te1_${text}.lora_up.weight`, ['text_encoder'], text, 'up'],
  [`lora_te2_${text}.lora_up.weight`, ['text_encoder_2'], text, 'up'],
  // OneTrainer and ComfyUI
  [`lora_unet.${dotted}.to_q.lora_down.weight`, ['unet'], `${attention}_to_q`, 'down'],
  ['diffusion_model.input_blocks.1.1.proj_in.lora_B.weight', ['unet'], 'input_blocks_1_1_proj_in', 'up'],
])('%s is taken apart', (key, networks, name, part) => {
  expect(parseLoraKey(key)).toMatchObject({ networks, name, part });
});

test.each(['conv_in.weight', 'emb_params', 'lora_unet_conv_in.oft_blocks', 'string_to_param.*'])(
  '%s is not a part of a LoRA',
  (key) => {
    expect(parseLoraKey(key)).toBeUndefined();
  },
);
