import {
  add,
  gelu,
  matmul,
  mul,
  reshape,
  scale,
  sigmoid,
  softmax,
  transpose,
} from '../../graph/functions.ts';
import { layerNorm, linear } from '../../graph/layers.ts';
import type { Scope } from '../../graph/scope.ts';
import { dimAt, type Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';

/** Config keys that the layers of CLIP's transformers read. */
export interface ClipLayerConfig {
  readonly num_attention_heads: number;
  readonly hidden_act: 'quick_gelu' | 'gelu';
  readonly layer_norm_eps: number;
}

/**
 * One layer of CLIP's text or vision transformer on tokens x [B,S,C]: self-attention, then an MLP, each with a layer
 * norm before it and a residual connection around it. `mask` [1,1,S,S] is added to the attention scores.
 */
export function clipLayer(at: Scope, x: Tensor, config: ClipLayerConfig, mask?: Tensor): Tensor {
  const norm = { axis: -1, epsilon: config.layer_norm_eps };
  const normed = layerNorm(at.in('layer_norm1'), x, norm);
  const h = add(x, selfAttention(at.in('self_attn'), normed, config.num_attention_heads, mask));
  return add(h, mlp(at.in('mlp'), layerNorm(at.in('layer_norm2'), h, norm), config.hidden_act));
}

/** Multi-head self-attention, masked where there is a mask; q, k and v are [B,heads,S,d]. */
function selfAttention(at: Scope, x: Tensor, heads: number, mask: Tensor | undefined): Tensor {
  const [batch, tokens, width] = [dimAt(x.shape, 0), dimAt(x.shape, 1), Number(dimAt(x.shape, 2))];
  const split: Shape = [batch, tokens, heads, width / heads];
  const inHeads = (name: string, project = (h: Tensor) => h): Tensor =>
    transpose(reshape(project(linear(at.in(name), x)), split), [0, 2, 1, 3]);

  const q = inHeads('q_proj', (h) => scale(h, (width / heads) ** -0.5));
  const scores = matmul(q, inHeads('k_proj'), { transposeB: true });
  const mixed = matmul(softmax(mask ? add(scores, mask) : scores, 3), inHeads('v_proj'));
  return linear(at.in('out_proj'), reshape(transpose(mixed, [0, 2, 1, 3]), x.shape));
}

function mlp(at: Scope, x: Tensor, activation: ClipLayerConfig['hidden_act']): Tensor {
  const h = linear(at.in('fc1'), x);
  // quick_gelu is OpenAI CLIP's approximation of GELU: x·σ(1.702x)
  return linear(at.in('fc2'), activation === 'gelu' ? gelu(h) : mul(h, sigmoid(scale(h, 1.702))));
}
