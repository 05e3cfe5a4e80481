import type { Graph } from '../../graph/graph.ts';
import type { Scope } from '../../graph/scope.ts';
import type { AttentionImplementation } from '../blocks/attention.ts';
import type { ClipTextConfig } from '../config/clip-text-config.ts';
import type { UNetConfig } from '../config/unet-config.ts';
import type { VaeConfig } from '../config/vae-config.ts';

/**
 * What the consumers of an artifact agree on: names, order, shapes and dtypes of each network's inputs and outputs.
 * A contract lays them around a network; the network itself knows of none.
 */
export interface Contract {
  /** Whether every size must be a number: those that nobody fixed are then the config's. */
  readonly fixedSizes: boolean;
  text_encoder(at: Scope, config: ClipTextConfig, sizes: Sizes): Graph;
  unet(at: Scope, config: UNetConfig, sizes: Sizes, attention: AttentionImplementation): Graph;
  vae_decoder(at: Scope, config: VaeConfig, sizes: Sizes): Graph;
  vae_encoder(at: Scope, config: VaeConfig, sizes: Sizes): Graph;
}

/** The networks of a checkpoint, named as Apple's tool and the commands name them. */
export type ModelName = Exclude<keyof Contract, 'fixedSizes'>;

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
