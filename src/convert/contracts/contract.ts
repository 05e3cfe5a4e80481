import type { Dim } from '../../graph/dim.ts';
import type { GraphBuilder } from '../../graph/graph.ts';
import type { Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';

/** All contracts. */
export const contractNames = ['optimum', 'apple'] as const;

/** A contract by its consumers: optimum's ONNX pipelines, or apps that load Apple's Core ML packages. */
export type ContractName = (typeof contractNames)[number];

/** Kind of an input: numbers, token ids, or the hidden states of a text [B,S,C]. */
export type PortKind = 'numbers' | 'ids' | 'text';

/**
 * What the consumers of an artifact agree on for every network: dtypes, layouts, and which sizes are free. Names, order
 * and dimensions differ by network and are on its card.
 */
export interface Contract {
  readonly name: ContractName;
  /** Whether every size must be a number; sizes that the user did not fix then come from the config. */
  readonly fixedSizes: boolean;
  /** Batch size of an input that usually has `count` rows. */
  rows(count: number): Dim;
  /**
   * The size that the user fixed; otherwise a free size named `free`, or the usual size. Throws `RequestError` when a
   * number is needed and there is none.
   */
  size(fixed: number | undefined, free: string, usual?: number): Dim;
  /** Declares an input and converts it to what the networks read: float32 numbers, ids as declared, text as [B,C,1,S]. */
  readonly input: { readonly [K in PortKind]: (builder: GraphBuilder, name: string, shape: Shape) => Tensor };
  /** Converts a network's result to an output: numbers are unchanged, flags [B,1] get the contract's shape and dtype. */
  output(result: Tensor): Tensor;
}

/** Sizes that the user fixed; the contract decides whether the others are free or come from the config. */
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
