import { join } from 'node:path';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { type NamedTensor, writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { sdShapes } from './sd-shapes.ts';

/** Layers that the LoRA below changes: both forms of weights, of two networks. */
const layers = [
  ['unet', 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q'],
  ['unet', 'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k'],
  ['text_encoder', 'text_model.encoder.layers.0.self_attn.q_proj'],
] as const;

const files = { unet: 'diffusion_pytorch_model', text_encoder: 'model' } as const;

/** Writes a LoRA of rank 2 for sd-shapes, in PEFT's names: two layers of the UNet and one of the text encoder. */
export async function writeSmallLora(path: string, value = 0.01): Promise<string> {
  const tensors: NamedTensor[] = [];
  for (const [network, layer] of layers) {
    const file = await openSafetensors(join(sdShapes, network, `${files[network]}.safetensors`));
    const [rows = 0, columns = 0] = file.weights.get(`${layer}.weight`)?.shape ?? [];
    await file.close();
    const matrix = (name: string, shape: readonly number[]): NamedTensor => {
      const data = new Float32Array(shape.reduce((product, size) => product * size, 1)).fill(value);
      return { name: `${network}.${layer}.${name}.weight`, dtype: 'f32', shape, data };
    };
    tensors.push(matrix('lora_A', [2, columns]), matrix('lora_B', [rows, 2]));
  }
  await writeSafetensors(path, tensors);
  return path;
}
