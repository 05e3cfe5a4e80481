import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { epsilon, tokenId } from './number-ranges.ts';
import { checkDivisors, checkSizes, parseConfig } from './parse-config.ts';

/**
 * Context length of every CLIP text encoder of Stable Diffusion (Radford et al. 2021, §2.4): begin token, 75 tokens of
 * the prompt, end token.
 */
export const CLIP_TOKENS = 77;

/** CLIPTextModel; defaults are transformers' own. */
const schema = z.object({
  vocab_size: z.int().default(49408),
  hidden_size: z.int(),
  intermediate_size: z.int(),
  num_hidden_layers: z.int().min(1),
  num_attention_heads: z.int().min(1),
  max_position_embeddings: z.int().default(CLIP_TOKENS),
  hidden_act: z.enum(['quick_gelu', 'gelu'], { error: '"quick_gelu" or "gelu"' }).default('quick_gelu'),
  layer_norm_eps: epsilon.default(1e-5),
  eos_token_id: tokenId.default(49407),
});

export type ClipTextConfig = z.output<typeof schema>;

/** Reads and checks a CLIP text encoder's config. Throws `ConfigError`. */
export function clipTextConfig(component: Component): ClipTextConfig {
  const config = parseConfig(schema, component);
  checkSizes(component, [
    {
      key: 'vocab_size',
      value: config.vocab_size,
      weight: 'text_model.embeddings.token_embedding.weight',
      axis: 0,
    },
    {
      key: 'hidden_size',
      value: config.hidden_size,
      weight: 'text_model.embeddings.token_embedding.weight',
      axis: 1,
    },
    {
      key: 'max_position_embeddings',
      value: config.max_position_embeddings,
      weight: 'text_model.embeddings.position_embedding.weight',
      axis: 0,
    },
    {
      key: 'intermediate_size',
      value: config.intermediate_size,
      weight: 'text_model.encoder.layers.0.mlp.fc1.weight',
      axis: 0,
    },
  ]);
  const { num_attention_heads: value, hidden_size: width } = config;
  checkDivisors(component, [{ key: 'num_attention_heads', value, of: 'hidden_size', width }]);
  return config;
}
