import { expect, test } from 'vitest';
import { openLora } from '../../../src/checkpoint/lora/open-lora.ts';
import { openComponent } from '../../../src/checkpoint/open-component.ts';
import { recognizeWeights } from '../../../src/checkpoint/recognize/weight-file-kind.ts';
import { openSingleFile } from '../../../src/checkpoint/single-file/open-single-file.ts';
import { SdConvertError } from '../../../src/errors.ts';
import { inspectWeights } from '../../../src/inspect/inspect-weights.ts';
import { writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** What files are, by a few of their names: every command has to say the same. */

const at = temporaryFolder();

type Shapes = Readonly<Record<string, readonly number[]>>;

/** Tensors of one size, so that a row is a list of names. */
function named(...names: readonly string[]): Shapes {
  return Object.fromEntries(names.map((name) => [name, [4, 4]]));
}

function behind(prefix: string, shapes: Shapes): Shapes {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [prefix + name, shape]));
}

const conv = (channels: number) => [4, channels, 3, 3];

const original: Shapes = {
  'input_blocks.0.0.weight': conv(4),
  'time_embed.0.weight': [4, 4],
  'input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight': [4, 768],
  'middle_block.0.in_layers.2.weight': conv(4),
  'output_blocks.0.0.in_layers.2.weight': conv(4),
};
const diffusers: Shapes = {
  'conv_in.weight': conv(4),
  'time_embedding.linear_1.weight': [4, 4],
  'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': [4, 768],
  'mid_block.resnets.0.conv1.weight': conv(4),
  'up_blocks.0.resnets.0.conv1.weight': conv(4),
};
const { 'output_blocks.0.0.in_layers.2.weight': _o, ...originalDown } = original;
const { 'up_blocks.0.resnets.0.conv1.weight': _u, ...diffusersDown } = diffusers;
const originalVae: Shapes = {
  'encoder.conv_in.weight': conv(3),
  'encoder.down.0.block.0.conv1.weight': conv(4),
  'encoder.mid.attn_1.q.weight': [4, 4, 1, 1],
  'decoder.conv_in.weight': conv(4),
  'decoder.up.0.block.0.conv1.weight': conv(4),
};
const diffusersVae: Shapes = {
  'encoder.conv_in.weight': conv(3),
  'encoder.down_blocks.0.resnets.0.conv1.weight': conv(4),
  'decoder.conv_in.weight': conv(4),
  'decoder.up_blocks.0.resnets.0.conv1.weight': conv(4),
};
const clip: Shapes = {
  'text_model.embeddings.token_embedding.weight': [4, 768],
  'text_model.encoder.layers.0.mlp.fc1.weight': [4, 768],
};
const openClip: Shapes = {
  'token_embedding.weight': [4, 1024],
  'transformer.resblocks.0.ln_1.weight': [1024],
  'ln_final.weight': [1024],
};
const hint = named('input_hint_block.0.weight', 'zero_convs.0.0.weight');
const condition = named('controlnet_cond_embedding.conv_in.weight', 'controlnet_down_blocks.0.weight');
const model = 'model.diffusion_model.';
const whole = {
  ...behind(model, original),
  ...behind('first_stage_model.', originalVae),
  ...behind('cond_stage_model.transformer.', clip),
};
const lora = named('lora_unet_conv_in.lora_down.weight', 'lora_unet_conv_in.lora_up.weight');

const wholeFile = 'a checkpoint in a single file';
const unet = 'a UNet alone';
const vae = 'a VAE alone';
const text = 'a text encoder alone';
const controlnet = 'a ControlNet alone';
const aLora = 'a LoRA, not a checkpoint';
const not = (what: string) => `${what}, which is not supported`;

/** Titles, names, what the file is, and what can be taken out of it. */
const files: readonly [title: string, names: Shapes, what: string, parts?: string][] = [
  ['a checkpoint', whole, wholeFile, 'checkpoint vae'],
  ['a checkpoint behind a compiler’s prefix', behind('_orig_mod.', whole), wholeFile, 'checkpoint vae'],
  ['a checkpoint behind module.', behind('module.', whole), wholeFile, 'checkpoint vae'],
  ['a checkpoint with a stray LoRA', { ...whole, ...lora }, wholeFile, 'checkpoint vae'],
  [
    'a checkpoint with one name that begins with lora_',
    { ...whole, 'lora_unet_dummy.alpha': [] },
    wholeFile,
    'checkpoint vae',
  ],
  [
    'a checkpoint with an image encoder',
    { ...whole, ...named('vision_model.embeddings.class_embedding') },
    wholeFile,
    'checkpoint vae',
  ],
  [
    'a checkpoint with a textual inversion',
    { ...whole, ...named('emb_params') },
    wholeFile,
    'checkpoint vae',
  ],
  [
    'a checkpoint with an IP-Adapter beside it',
    { ...whole, ...named('image_proj.proj.weight', 'ip_adapter.1.to_k_ip.weight') },
    not('a UNet with an IP-Adapter in it'),
  ],
  [
    'a checkpoint with a ControlNet',
    { ...whole, ...behind('control_model.', { ...originalDown, ...hint }) },
    wholeFile,
    'checkpoint vae controlnet',
  ],
  ['a UNet in a checkpoint’s place', behind(model, original), wholeFile, 'checkpoint'],
  ['a UNet with doubled prefixes', behind(model + model, original), wholeFile, 'checkpoint'],
  ['a UNet behind unet.', behind('unet.', diffusers), wholeFile, 'checkpoint'],
  [
    'components behind diffusers’ folders',
    { ...behind('unet.', diffusers), ...behind('vae.', diffusersVae), ...behind('text_encoder.', clip) },
    wholeFile,
    'checkpoint vae',
  ],
  [
    'SD-Turbo',
    {
      ...behind(model, original),
      [`${model}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight`]: [4, 1024],
      ...behind('conditioner.embedders.0.model.', openClip),
    },
    wholeFile,
    'checkpoint',
  ],
  [
    'a text encoder and a VAE',
    { ...behind('cond_stage_model.transformer.', clip), ...behind('first_stage_model.', originalVae) },
    wholeFile,
    'checkpoint vae',
  ],
  ['a UNet in original names', original, unet, 'checkpoint'],
  ['a UNet in diffusers’ names', diffusers, unet, 'checkpoint'],
  [
    'a UNet saved with a LoRA in it',
    {
      ...diffusers,
      'mid_block.attentions.0.to_q.base_layer.weight': [4, 4],
      'mid_block.attentions.0.to_q.lora_A.default.weight': [1, 4],
      'mid_block.attentions.0.to_q.lora_B.default.weight': [4, 1],
    },
    unet,
    'checkpoint',
  ],
  ['an inpainting UNet', { ...original, 'input_blocks.0.0.weight': conv(9) }, unet, 'checkpoint'],
  ['a VAE in original names', originalVae, vae, 'checkpoint vae'],
  ['a VAE in diffusers’ names', diffusersVae, vae, 'checkpoint vae'],
  [
    'a VAE of 2023’s scripts',
    { ...originalVae, 'encoder.mid.attn_1.to_q.weight': [4, 4] },
    vae,
    'checkpoint vae',
  ],
  [
    'a VAE with its loss',
    { ...originalVae, ...named('loss.logvar', 'loss.discriminator.main.0.weight') },
    vae,
    'checkpoint vae',
  ],
  [
    'a VAE of sixteen channels',
    { ...originalVae, 'decoder.conv_in.weight': conv(16) },
    not('a VAE of another family (Stable Diffusion 3 or Flux, perhaps)'),
  ],
  [
    'a VAE of a video model',
    { ...diffusersVae, 'decoder.conv_in.weight': [4, 4, 3, 3, 3] },
    not('a VAE of another family (Stable Diffusion 3 or Flux, perhaps)'),
  ],
  [
    'an asymmetric VAE',
    { ...diffusersVae, ...named('decoder.condition_encoder.layers.0.weight') },
    'an asymmetric VAE (AsymmetricAutoencoderKL) alone',
  ],
  [
    'a tiny autoencoder',
    named('encoder.layers.0.weight', 'encoder.layers.1.conv.0.weight'),
    'a tiny autoencoder (TAESD) alone',
  ],
  ['a CLIP text encoder', clip, text],
  [
    'a CLIP text encoder of transformers 5',
    named('embeddings.token_embedding.weight', 'encoder.layers.0.mlp.fc1.weight'),
    text,
  ],
  ['a projected text encoder', { ...clip, ...named('text_projection.weight') }, text],
  ['OpenCLIP’s text encoder', openClip, text],
  [
    'a T5 text encoder',
    named('shared.weight', 'encoder.block.0.layer.0.SelfAttention.q.weight'),
    not('a T5 text encoder (of Stable Diffusion 3 or Flux)'),
  ],
  [
    'an image encoder',
    named('vision_model.embeddings.class_embedding', 'visual_projection.weight'),
    not('an image encoder (CLIP vision)'),
  ],
  [
    'a language model',
    named('model.embed_tokens.weight', 'model.layers.0.self_attn.q_proj.weight'),
    not('a language model'),
  ],
  ['a ControlNet in original names', { ...originalDown, ...hint }, controlnet, 'controlnet'],
  [
    'a ControlNet behind control_model.',
    behind('control_model.', { ...originalDown, ...hint }),
    controlnet,
    'controlnet',
  ],
  ['a ControlNet in diffusers’ names', { ...diffusersDown, ...condition }, controlnet, 'controlnet'],
  [
    'a small ControlNet of XL',
    {
      'conv_in.weight': conv(4),
      ...named(
        'time_embedding.linear_1.weight',
        'add_embedding.linear_1.weight',
        'down_blocks.0.resnets.0.conv1.weight',
      ),
      ...condition,
    },
    controlnet,
    'controlnet',
  ],
  [
    'a Control-LoRA',
    {
      ...originalDown,
      ...hint,
      lora_controlnet: [1],
      'input_blocks.1.0.in_layers.2.up': [4, 1],
      'input_blocks.1.0.in_layers.2.down': [1, 4],
    },
    'a Control-LoRA (a ControlNet stored as a LoRA of its base’s UNet)',
    'controlnet',
  ],
  [
    'a difference ControlNet',
    { ...behind('control_model.', { ...originalDown, ...hint }), difference: [] },
    'a ControlNet stored as the difference to its base’s UNet',
    'controlnet',
  ],
  [
    'a ControlNet union',
    { ...diffusersDown, ...condition, ...named('task_embedding', 'control_add_embedding.linear_1.weight') },
    not('a ControlNet union (several kinds of pictures in one network)'),
  ],
  [
    'a ControlNet of Flux',
    named('controlnet_blocks.0.weight', 'controlnet_x_embedder.weight'),
    not('a ControlNet of a transformer (Stable Diffusion 3, Flux)'),
  ],
  ['kohya’s LoRA', lora, aLora, 'lora'],
  ['PEFT’s LoRA', named('unet.conv_in.lora_A.weight', 'unet.conv_in.lora_B.weight'), aLora, 'lora'],
  [
    'a LoRA of Flux',
    named(
      'transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight',
      'transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight',
    ),
    aLora,
    'lora',
  ],
  [
    'whole differences',
    named('diffusion_model.conv_in.diff', 'diffusion_model.conv_in.diff_b'),
    aLora,
    'lora',
  ],
  [
    'a LoHa',
    named(...['w1_a', 'w1_b', 'w2_a', 'w2_b'].map((part) => `lora_unet_conv_in.hada_${part}`)),
    aLora,
    'lora',
  ],
  ['an OFT', named('lora_unet_conv_in.oft_blocks'), 'OFT, which is not supported'],
  [
    'a GLoRA',
    named(...['a1', 'a2', 'b1', 'b2'].map((part) => `lora_unet_conv_in.${part}.weight`)),
    'GLoRA, which is not supported',
  ],
  ['a textual inversion', named('emb_params'), 'a textual inversion, not a checkpoint'],
  ['diffusers’ textual inversion', named('<cat-toy>'), 'a textual inversion, not a checkpoint'],
  [
    'a safety checker',
    named('concept_embeds', 'vision_model.vision_model.embeddings.class_embedding'),
    'a safety checker alone',
  ],
  [
    'Stable Video Diffusion',
    { ...whole, ...named(`${model}input_blocks.1.1.time_stack.0.attn1.to_q.weight`) },
    not('a part of a video model'),
  ],
  [
    'AnimateDiff',
    named('down_blocks.0.motion_modules.0.temporal_transformer.norm.weight'),
    not('a part of a video model'),
  ],
  [
    'the upscaler of 2.x',
    {
      ...behind(model, { ...original, 'input_blocks.0.0.weight': conv(7) }),
      ...named('low_scale_model.betas'),
    },
    not('an upscaling model'),
  ],
  ['an upscaler’s UNet', { ...diffusers, 'conv_in.weight': conv(7) }, not('an upscaling model')],
  [
    'depth to image',
    behind(model, { ...original, 'input_blocks.0.0.weight': conv(5) }),
    'a model for depth to image that is not supported',
  ],
  [
    'Kolors',
    { ...diffusers, ...named('encoder_hid_proj.weight', 'add_embedding.linear_1.weight') },
    not('Kolors'),
  ],
  ['GLIGEN', { ...whole, ...named(`${model}position_net.linears.0.weight`) }, not('GLIGEN')],
  [
    'Stable Diffusion 3',
    {
      ...named(`${model}joint_blocks.0.x_block.attn.qkv.weight`),
      ...behind('first_stage_model.', { ...originalVae, 'decoder.conv_in.weight': conv(16) }),
    },
    not('Stable Diffusion 3'),
  ],
  [
    'Flux',
    named('double_blocks.0.img_attn.qkv.weight', 'single_blocks.0.linear1.weight'),
    not('a Flux model, or one built like it'),
  ],
  [
    'Chroma',
    named('distilled_guidance_layer.in_proj.weight', 'double_blocks.0.img_attn.qkv.weight'),
    not('Chroma'),
  ],
  ['AuraFlow', named(`${model}double_layers.0.attn.w1q.weight`), not('AuraFlow')],
  ['Qwen-Image', named('transformer_blocks.0.attn.add_k_proj.weight', 'txt_norm.weight'), not('Qwen-Image')],
  [
    'Z-Image',
    named('cap_embedder.1.weight', 'noise_refiner.0.attention.qkv.weight'),
    not('Z-Image, or a model built like it (Lumina)'),
  ],
  ['Wan', named('blocks.0.self_attn.q.weight', 'text_embedding.0.weight'), not('a video model (Wan)')],
  [
    'PixArt',
    named('adaln_single.linear.weight', 'transformer_blocks.0.attn1.to_q.weight'),
    not('a PixArt model'),
  ],
  ['Stable Cascade', named('clip_txt_mapper.weight'), not('Stable Cascade')],
  [
    'PhotoMaker',
    named('id_encoder.visual_projection_2.weight', 'lora_weights.unet.x.lora_linear_layer.up.weight'),
    not('PhotoMaker'),
  ],
  ['an IP-Adapter', named('image_proj.proj.weight'), not('an IP-Adapter')],
  ['a T2I-Adapter', named('body.0.block1.weight'), not('a T2I-Adapter')],
  ['ESRGAN', named('conv_first.weight', 'RRDB_trunk.0.weight'), not('an upscaling network (ESRGAN)')],
];

test.each(files)('%s is the same for every command', async (title, shapes, what, parts = '') => {
  const path = at(`${files.findIndex(([each]) => each === title)}.safetensors`);
  await writeSafetensors(
    path,
    Object.entries(shapes).map(([name, shape]) => {
      const length = shape.reduce((a, b) => a * b, 1);
      return { name, dtype: 'f32', shape, data: new Float32Array(length) } as const;
    }),
  );
  expect(
    recognizeWeights(new Map(Object.entries(shapes).map(([name, shape]) => [name, { shape }])))?.what,
  ).toBe(what);

  const inspected = await inspectWeights(path);
  if (inspected.kind === 'weights') expect(inspected.what).toBe(what);
  else expect(what).toBe(wholeFile);

  const opened = [];
  const attempts = {
    checkpoint: () => openSingleFile(path),
    vae: () => openComponent(path, { as: 'vae' }),
    controlnet: () => openComponent(path, { as: 'controlnet' }),
    lora: () => openLora(path),
  };
  for (const [part, open] of Object.entries(attempts)) {
    try {
      await (await open()).close();
      opened.push(part);
    } catch (error) {
      if (!(error instanceof SdConvertError)) throw error;
      expect([part, error.problem.slice(0, `${path} is ${what}`.length)]).toEqual([
        part,
        `${path} is ${what}`,
      ]);
      expect(error.advice).toBeTruthy();
      expect(`${error.problem} ${error.advice}`).not.toMatch(/download it again|spelling|put together/i);
    }
  }
  expect(opened).toEqual(parts.split(' ').filter(Boolean));
});

test('names that fit nothing are nothing that is known', () => {
  expect(recognizeWeights(new Map([['weight', { shape: [1] }]]))).toBeUndefined();
});

test('a ControlNet that averages its results is told by the name that its authors gave it', () => {
  const shapes = new Map(
    Object.entries({ ...originalDown, ...hint }).map(([name, shape]) => [name, { shape }]),
  );
  expect(recognizeWeights(shapes, '/a/control_v11e_sd15_shuffle.pth')?.what).toContain(
    'averaged over the picture (shuffle)',
  );
  expect(recognizeWeights(shapes, '/shuffle/canny.pth')?.what).toBe(controlnet);
});
