import {
  add,
  argmax,
  cast,
  equal,
  gatherNd,
  gelu,
  matmul,
  mul,
  reshape,
  scale,
  sigmoid,
  softmax,
  transpose,
} from '../graph/functions.ts';
import { embedding, layerNorm, linear } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import { dimAt, type Shape } from '../graph/shape.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { ClipTextConfig } from './config/clip-text-config.ts';

/** What a CLIP text encoder gives. */
export interface ClipTextOutputs {
  /** Tokens after the last layer and the final normalisation [B,S,C]. */
  readonly last_hidden_state: Tensor;
  /** The last hidden state at the end-of-text token [B,C]. */
  readonly pooled: Tensor;
  /** The embedding, then each layer's output, without the final normalisation: layers + 1 of [B,S,C]. */
  readonly hidden_states: readonly Tensor[];
}

/** CLIPTextModel (Radford et al. 2021): token ids [B,S], integers → hidden states and a pooled embedding. */
export function clipText(at: Scope, inputIds: Tensor, config: ClipTextConfig): ClipTextOutputs {
  const model = at.in('text_model');
  const norm = { axis: -1, epsilon: config.layer_norm_eps };
  const ids = cast(inputIds, 'i32');
  const mask = causalMask(ids, config.max_position_embeddings);

  const positions = model.in('embeddings.position_embedding').weight('weight');
  let h = add(embedding(model.in('embeddings.token_embedding'), ids), positions); // [B,S,C]
  const hidden_states = [h];
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const block = model.in(`encoder.layers.${layer}`);
    h = add(
      h,
      selfAttention(
        block.in('self_attn'),
        layerNorm(block.in('layer_norm1'), h, norm),
        mask,
        config.num_attention_heads,
      ),
    );
    h = add(h, mlp(block.in('mlp'), layerNorm(block.in('layer_norm2'), h, norm), config.hidden_act));
    hidden_states.push(h);
  }

  const last_hidden_state = layerNorm(model.in('final_layer_norm'), h, norm);
  return {
    last_hidden_state,
    hidden_states,
    pooled: gatherNd(last_hidden_state, endOfText(ids, config.eos_token_id)),
  };
}

/** Attention of each token to itself and those before it, in heads of rank 4, [B,heads,S,d]. */
function selfAttention(at: Scope, x: Tensor, mask: Tensor, heads: number): Tensor {
  const [batch, tokens, width] = [dimAt(x.shape, 0), dimAt(x.shape, 1), Number(dimAt(x.shape, 2))];
  const split: Shape = [batch, tokens, heads, width / heads];
  const inHeads = (name: string, project = (h: Tensor) => h): Tensor =>
    transpose(reshape(project(linear(at.in(name), x)), split), [0, 2, 1, 3]);

  const q = inHeads('q_proj', (h) => scale(h, (width / heads) ** -0.5));
  const scores = add(matmul(q, inHeads('k_proj'), { transposeB: true }), mask);
  const mixed = matmul(softmax(scores, 3), inHeads('v_proj'));
  return linear(at.in('out_proj'), reshape(transpose(mixed, [0, 2, 1, 3]), x.shape));
}

function mlp(at: Scope, x: Tensor, activation: ClipTextConfig['hidden_act']): Tensor {
  const h = linear(at.in('fc1'), x);
  // quick_gelu is OpenAI CLIP's approximation of GELU: x·σ(1.702x)
  return linear(at.in('fc2'), activation === 'gelu' ? gelu(h) : mul(h, sigmoid(scale(h, 1.702))));
}

/** 0 where a token may look, −10⁴ where not [1,1,S,S]: far enough below any score that its weight is exactly 0, and inside float16's range. */
function causalMask(ids: Tensor, tokens: number): Tensor {
  const data = Float32Array.from({ length: tokens * tokens }, (_, at) =>
    at % tokens > Math.floor(at / tokens) ? -1e4 : 0,
  );
  return ids.builder.constant(data, [1, 1, tokens, tokens], 'causal_mask');
}

/**
 * Position of the first end-of-text token [B,1]. Configs written before transformers 4.30 say 2 whatever the real id
 * is; for them it is the largest id, as in transformers.
 */
function endOfText(ids: Tensor, eosTokenId: number): Tensor {
  if (eosTokenId === 2) return argmax(ids);
  return argmax(cast(equal(ids, ids.builder.constant(Int32Array.of(eosTokenId), [])), 'i32'));
}
