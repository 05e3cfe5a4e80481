import type { FakeRepository } from './hub-server.ts';

/** The commit of every repository below. */
export const commit = 'c0ffee'.padEnd(40, '0');

/** Bytes that are the same in every run, and not the same at any two offsets near each other. */
export function scrambled(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** A diffusers repository as uploads are: every format and variant side by side, and much that no conversion reads. */
export const checkpointFiles: Readonly<Record<string, Uint8Array>> = {
  '.gitattributes': json('*.safetensors filter=lfs'),
  'README.md': json('# A model'),
  'model_index.json': json({
    _class_name: 'StableDiffusionPipeline',
    feature_extractor: ['transformers', 'CLIPImageProcessor'],
    safety_checker: [null, null],
    scheduler: ['diffusers', 'PNDMScheduler'],
    text_encoder: ['transformers', 'CLIPTextModel'],
    tokenizer: ['transformers', 'CLIPTokenizer'],
    unet: ['diffusers', 'UNet2DConditionModel'],
    vae: ['diffusers', 'AutoencoderKL'],
  }),
  'feature_extractor/preprocessor_config.json': json({ size: 224 }),
  'model.ckpt': scrambled(999, 1),
  'scheduler/scheduler_config.json': json({ _class_name: 'PNDMScheduler' }),
  'text_encoder/config.json': json({ hidden_size: 8 }),
  'text_encoder/flax_model.msgpack': scrambled(100, 2),
  'text_encoder/model.fp16.safetensors': scrambled(1500, 3),
  'text_encoder/model.safetensors': scrambled(3000, 4),
  'text_encoder/pytorch_model.bin': scrambled(3000, 5),
  'tokenizer/merges.txt': json('a b'),
  'tokenizer/vocab.json': json({ a: 1 }),
  'unet/config.json': json({ in_channels: 4 }),
  'unet/diffusion_pytorch_model.fp16.safetensors': scrambled(35_000, 6),
  'unet/diffusion_pytorch_model.non_ema.safetensors': scrambled(70_000, 7),
  'unet/diffusion_pytorch_model.safetensors': scrambled(70_000, 8),
  'unet/model.onnx': scrambled(100, 9),
  'vae/config.json': json({ latent_channels: 4 }),
  'vae/diffusion_pytorch_model.bin': scrambled(2000, 10),
};

/** What of it a conversion reads when nothing else is said. */
export const neededFiles: readonly string[] = [
  'feature_extractor/preprocessor_config.json',
  'model_index.json',
  'scheduler/scheduler_config.json',
  'text_encoder/config.json',
  'text_encoder/model.safetensors',
  'tokenizer/merges.txt',
  'tokenizer/vocab.json',
  'unet/config.json',
  'unet/diffusion_pytorch_model.safetensors',
  'vae/config.json',
  'vae/diffusion_pytorch_model.bin',
];

/** A repository that stands at `commit` with these files, weights in Git LFS. */
export function repository(
  files: Readonly<Record<string, Uint8Array>>,
  more: Partial<FakeRepository> = {},
): FakeRepository {
  return {
    commit,
    refs: ['main', 'v1.0', 'refs/pr/1'],
    files,
    isLfs: (name) => /\.(safetensors|bin|ckpt)$/.test(name),
    ...more,
  };
}
