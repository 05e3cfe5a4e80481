import { add, argmax, cast, equal, gatherNd } from '../graph/functions.ts';
import { embedding, layerNorm, linear } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import type { Tensor } from '../graph/tensor.ts';
import { clipLayer } from './blocks/clip-layer.ts';
import type { ClipTextConfig } from './config/clip-text-config.ts';

/** Outputs of a CLIP text encoder. */
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
    h = clipLayer(model.in(`encoder.layers.${layer}`), h, config, mask);
    hidden_states.push(h);
  }

  const last_hidden_state = layerNorm(model.in('final_layer_norm'), h, norm);
  return {
    last_hidden_state,
    hidden_states,
    pooled: gatherNd(last_hidden_state, endOfText(ids, config.eos_token_id)),
  };
}

/**
 * CLIPTextModelWithProjection: `clipText`, and its pooled embedding projected into the space of CLIP's image embeddings
 * [B,P].
 */
export function clipTextWithProjection(
  at: Scope,
  inputIds: Tensor,
  config: ClipTextConfig,
): ClipTextOutputs & { readonly text_embeds: Tensor } {
  const outputs = clipText(at, inputIds, config);
  return { ...outputs, text_embeds: linear(at.in('text_projection'), outputs.pooled, { bias: false }) };
}

/**
 * Causal mask [1,1,S,S]: 0 where a token may attend, −10⁴ elsewhere: low enough that softmax gives exactly 0, and
 * within float16's range.
 */
function causalMask(ids: Tensor, tokens: number): Tensor {
  const data = Float32Array.from({ length: tokens * tokens }, (_, at) =>
    at % tokens > Math.floor(at / tokens) ? -1e4 : 0,
  );
  return ids.builder.constant(data, [1, 1, tokens, tokens], 'causal_mask');
}

/**
 * Position of the first end-of-text token [B,1]. Configs written before transformers 4.30 have 2, whatever the real id;
 * for them the token with the largest id is taken, as in transformers.
 */
function endOfText(ids: Tensor, eosTokenId: number): Tensor {
  if (eosTokenId === 2) return argmax(ids);
  return argmax(cast(equal(ids, ids.builder.constant(Int32Array.of(eosTokenId), [])), 'i32'));
}
