import type { Graph } from '../../graph/graph.ts';
import type { Scope } from '../../graph/scope.ts';
import type { AttentionImplementation } from '../blocks/attention.ts';
import type { ClipTextConfig } from '../config/clip-text-config.ts';
import type { ControlNetConfig } from '../config/controlnet-config.ts';
import type { SafetyCheckerConfig } from '../config/safety-checker-config.ts';
import type { UNetConfig } from '../config/unet-config.ts';
import type { Vae } from '../vae.ts';

/**
 * What the consumers of an artifact agree on: names, order, shapes and dtypes of each network's inputs and outputs.
 * A contract lays them around a network; the network itself knows of none.
 */
export interface Contract {
  /** Whether every size must be a number: those that nobody fixed are then the config's. */
  readonly fixedSizes: boolean;
  /** `xl`: as the first of Stable Diffusion XL's two, of which hidden states are read. */
  text_encoder(at: Scope, config: ClipTextConfig, use: { readonly xl: boolean }): Graph;
  /** Stable Diffusion XL's second, whose pooled output is projected. */
  text_encoder_2(at: Scope, config: ClipTextConfig): Graph;
  /** `controlled`: taking a ControlNet's residuals. */
  unet(
    at: Scope,
    config: UNetConfig,
    sizes: Sizes,
    attention: AttentionImplementation,
    use: { readonly controlled: boolean },
  ): Graph;
  controlnet(at: Scope, config: ControlNetConfig, sizes: Sizes, attention: AttentionImplementation): Graph;
  vae_decoder(at: Scope, vae: Vae, sizes: Sizes): Graph;
  vae_encoder(at: Scope, vae: Vae, sizes: Sizes): Graph;
  safety_checker(at: Scope, config: SafetyCheckerConfig): Graph;
}

/**
 * The networks of a checkpoint, named as Apple's tool and the commands name them. `control-unet` is the UNet that takes
 * a ControlNet's residuals; several ControlNets are numbered as diffusers does: `controlnet`, `controlnet_1`, ….
 */
export type NetworkName =
  | 'text_encoder'
  | 'text_encoder_2'
  | 'unet'
  | 'control-unet'
  | 'refiner'
  | 'controlnet'
  | `controlnet_${number}`
  | 'vae_decoder'
  | 'vae_encoder'
  | 'safety_checker';

/** A network's name without the number that tells several ControlNets apart. */
export type NetworkKind = Exclude<NetworkName, `controlnet_${number}`>;

/** The kind of network that a name is of. */
export function networkKind(name: NetworkName): NetworkKind {
  // as: what begins so is a ControlNet with a number; the others are their own kinds.
  return name.startsWith('controlnet') ? 'controlnet' : (name as NetworkKind);
}

/** Sizes the user fixed; what is left out follows from the contract (free, or the config's). */
export interface Sizes {
  /** Height of the latents: the picture's divided by 8. */
  readonly latentHeight?: number;
  /** Width of the latents: the picture's divided by 8. */
  readonly latentWidth?: number;
  /** Rows of `sample`; 2 is one picture under classifier-free guidance. */
  readonly unetBatch?: number;
  /** Tokens of `encoder_hidden_states`. */
  readonly textTokens?: number;
}
