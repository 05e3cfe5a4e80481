import type { AttentionImplementation } from '../convert/blocks/attention.ts';
import type { Sizes } from '../convert/contracts/contract.ts';

/** Options as they were asked for, of all targets. */
export interface AskedOptions {
  readonly attention?: AttentionImplementation | undefined;
  readonly sizes: Sizes;
}
