import { add, addScalar, pad, relu, scale, tanh, upsampleNearest } from '../graph/functions.ts';
import { conv2d } from '../graph/layers.ts';
import type { Scope } from '../graph/scope.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { TinyAutoencoderConfig } from './config/tiny-autoencoder-config.ts';

/**
 * AutoencoderTiny (TAESD, Ollin Boer Bohan 2023): a VAE distilled to convolutions and ReLUs, fifty times smaller. It
 * works on pictures in 0…1; as in diffusers, encoder and decoder convert from and to −1…1.
 */

/** Latents [B,4,h,w] → a picture [B,3,8h,8w] in −1…1. */
export function tinyDecoder(at: Scope, z: Tensor, config: TinyAutoencoderConfig): Tensor {
  const next = layersOf(at.in('decoder'));
  const levels = config.num_decoder_blocks.length;

  let h = scale(tanh(scale(z, 1 / 3)), 3); // a soft clamp to −3…3
  h = relu(conv2d(next(), h, { pad: 1 }));
  next(); // the ReLU
  for (const [level, blocks] of config.num_decoder_blocks.entries()) {
    const isLast = level === levels - 1;
    for (let block = 0; block < blocks; block++) h = tinyBlock(next(), h);
    if (!isLast) {
      next(); // the upsampling
      h = upsampleNearest(h, config.upsampling_scaling_factor);
    }
    h = conv2d(next(), h, { pad: 1, bias: isLast });
  }
  return addScalar(scale(h, 2), -1);
}

/**
 * A picture [B,3,8h,8w] in −1…1 → its latents, then a log variance of −30 for each: [B,8,h,w]. Consumers of a VAE's
 * encoder expect the mean and log variance of a distribution and sample from it, but TAESD encodes to the latents
 * themselves. A log variance of −30 (the lowest that diffusers and Apple's Swift package allow) is a standard deviation
 * of e⁻¹⁵ = 3·10⁻⁷, so samples are the latents.
 */
export function tinyEncoder(at: Scope, x: Tensor, config: TinyAutoencoderConfig): Tensor {
  const next = layersOf(at.in('encoder'));

  let h = scale(addScalar(x, 1), 0.5);
  for (const [level, blocks] of config.num_encoder_blocks.entries()) {
    h = level === 0 ? conv2d(next(), h, { pad: 1 }) : conv2d(next(), h, { pad: 1, stride: 2, bias: false });
    for (let block = 0; block < blocks; block++) h = tinyBlock(next(), h);
  }
  const latents = conv2d(next(), h, { pad: 1 });
  return pad(latents, 1, { after: config.latent_channels, value: -30 });
}

/** Three convolutions with ReLUs between them and a residual connection, on x [B,C,H,W]. */
function tinyBlock(at: Scope, x: Tensor): Tensor {
  let h = relu(conv2d(at.in('conv.0'), x, { pad: 1 }));
  h = relu(conv2d(at.in('conv.2'), h, { pad: 1 }));
  h = conv2d(at.in('conv.4'), h, { pad: 1 });
  return relu(add(h, x));
}

/** Steps through `layers.0`, `layers.1`, …: encoder and decoder number the modules without weights, too. */
function layersOf(at: Scope): () => Scope {
  let index = 0;
  return () => at.in(`layers.${index++}`);
}
