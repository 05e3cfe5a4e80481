import { add, pad, reshape, slice, transpose } from '../graph/functions.ts';
import { conv2d, layerNorm } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import { dimAt, fixedDimAt } from '../graph/shape.ts';
import type { Tensor } from '../graph/tensor.ts';
import { clipLayer } from './blocks/clip-layer.ts';
import type { ClipVisionConfig } from './config/safety-checker-config.ts';

/** CLIPVisionModel (Radford et al. 2021): a normalised picture [B,3,H,W] → its pooled embedding [B,C]. */
export function clipVision(at: Scope, picture: Tensor, config: ClipVisionConfig): Tensor {
  const model = at.in('vision_model');
  const norm = { axis: -1, epsilon: config.layer_norm_eps };

  // sic: the published weights call it pre_layrnorm
  let h = layerNorm(model.in('pre_layrnorm'), embed(model.in('embeddings'), picture, config), norm);
  for (let layer = 0; layer < config.num_hidden_layers; layer++)
    h = clipLayer(model.in(`encoder.layers.${layer}`), h, config);

  const first = slice(h, 1, 0, 1);
  const pooled = reshape(first, [dimAt(h.shape, 0), dimAt(h.shape, 2)]);
  return layerNorm(model.in('post_layernorm'), pooled, norm);
}

/**
 * The class token and a token for each patch, row by row, with position embeddings added: [B,1+patches,C]. The class
 * token is the same for every picture: it is added to the position embeddings, and the patches are padded by a row for
 * it.
 */
function embed(at: Scope, picture: Tensor, { patch_size }: ClipVisionConfig): Tensor {
  const patches = conv2d(at.in('patch_embedding'), picture, { stride: patch_size, bias: false }); // [B,C,h,w]
  const [batch, channels] = [dimAt(patches.shape, 0), fixedDimAt(patches.shape, 1)];
  const count = fixedDimAt(patches.shape, 2) * fixedDimAt(patches.shape, 3);
  const rows = transpose(reshape(patches, [batch, channels, count]), [0, 2, 1]);

  const classRow = at.weightAs('class_embedding', () => [1, channels]);
  const positions = at.in('position_embedding').weight('weight');
  const places = add(positions, pad(classRow, 0, { after: count })); // [1+patches,C]
  return add(pad(rows, 1, { before: 1 }), places);
}
