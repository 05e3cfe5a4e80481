import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';
import { epsilon } from './number-ranges.ts';
import { checkDivisors, checkSizes, parseConfig } from './parse-config.ts';

/** CLIPVisionModel; defaults are transformers' own. */
const visionSchema = z.object({
  hidden_size: z.int().default(768),
  intermediate_size: z.int().default(3072),
  num_hidden_layers: z.int().min(1).default(12),
  num_attention_heads: z.int().min(1).default(12),
  num_channels: z.int().default(3),
  image_size: z.int().default(224),
  patch_size: z.int().default(32),
  hidden_act: z.enum(['quick_gelu', 'gelu'], { error: '"quick_gelu" or "gelu"' }).default('quick_gelu'),
  layer_norm_eps: epsilon.default(1e-5),
});

/** StableDiffusionSafetyChecker: a CLIPConfig, of which only the vision model is used. */
const schema = z.object({ projection_dim: z.int().default(512), vision_config: visionSchema });

export type ClipVisionConfig = z.output<typeof visionSchema>;
export type SafetyCheckerConfig = z.output<typeof schema>;

/** Reads and checks the safety checker's config. Throws `ConfigError`. */
export function safetyCheckerConfig(component: Component): SafetyCheckerConfig {
  const config = parseConfig(schema, component);
  const { vision_config: vision } = config;
  const embeddings = 'vision_model.vision_model.embeddings';
  const patch = `${embeddings}.patch_embedding.weight`;
  checkSizes(component, [
    { key: 'projection_dim', value: config.projection_dim, weight: 'visual_projection.weight', axis: 0 },
    { key: 'vision_config.hidden_size', value: vision.hidden_size, weight: patch, axis: 0 },
    { key: 'vision_config.num_channels', value: vision.num_channels, weight: patch, axis: 1 },
    { key: 'vision_config.patch_size', value: vision.patch_size, weight: patch, axis: 2 },
    {
      key: 'vision_config.intermediate_size',
      value: vision.intermediate_size,
      weight: 'vision_model.vision_model.encoder.layers.0.mlp.fc1.weight',
      axis: 0,
    },
  ]);
  const { num_attention_heads: value, hidden_size: width } = vision;
  checkDivisors(component, [
    { key: 'vision_config.num_attention_heads', value, of: 'vision_config.hidden_size', width },
  ]);
  checkPatches(component, vision);
  return config;
}

/** Throws `ConfigError` for a picture of other patches than the weights have places for, beside that of the class. */
function checkPatches(component: Component, { image_size: side, patch_size: patch }: ClipVisionConfig): void {
  const name = 'vision_model.vision_model.embeddings.position_embedding.weight';
  const places = component.weights.get(name);
  const count = places?.shape[0];
  const patches = Math.floor(side / patch) ** 2;
  if (!places || count === undefined || count === patches + 1) return;
  throw new ConfigError({
    problem: `the config of the ${component.name} contradicts its weights: vision_config.image_size = ${side} makes ${patches} patches, but the weights have ${count - 1}.`,
    details: {
      config: component.configFile,
      weight: `${name} [${places.shape.join(', ')}]`,
      file: places.file,
    },
    advice: 'The config belongs to another model. Take both files from the same source.',
  });
}
