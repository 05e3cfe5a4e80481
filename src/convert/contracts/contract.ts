import type { Dim } from '../../graph/dim.ts';
import type { GraphBuilder } from '../../graph/graph.ts';
import type { Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';

/** The contracts that there are. */
export const contractNames = ['optimum', 'apple'] as const;

/** Who loads the artifacts: optimum's ONNX pipelines, or what loads Apple's Core ML packages. */
export type ContractName = (typeof contractNames)[number];

/** Numbers, token ids, or text [B,S,C] as the networks attend to it. */
export type PortKind = 'numbers' | 'ids' | 'text';

/**
 * What the consumers of an artifact agree on for every network: dtypes, layouts, and which sizes are free. Names, order
 * and dimensions are each network's own, and stand on its card.
 */
export interface Contract {
  readonly name: ContractName;
  /** Whether every size must be a number: those that nobody fixed are then the config's. */
  readonly fixedSizes: boolean;
  /** Rows of an input for which `count` is usual. */
  rows(count: number): Dim;
  /** A size: the one that is fixed, else free under a name, or the usual one. Throws `RequestError` where neither may be. */
  size(fixed: number | undefined, free: string, usual?: number): Dim;
  /** Declares an input; gives it as the networks read it: float32, ids, text as [B,C,1,S]. */
  readonly input: { readonly [K in PortKind]: (builder: GraphBuilder, name: string, shape: Shape) => Tensor };
  /** What is given out for a network's result: numbers as they are, flags [B,1] in a form of its own. */
  output(result: Tensor): Tensor;
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
