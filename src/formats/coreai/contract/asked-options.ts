import type { Sizes } from '../../../convert/contracts/contract.ts';
import type { AskedOptions } from '../../asked-options.ts';

/** The sizes that were asked for, without that of the batch: Apple's pipelines pass two rows. */
export function coreAiSizes({ unetBatch: _, ...sizes }: Sizes): Sizes {
  return sizes;
}

/** What becomes of options that were asked for, a sentence each. */
export function coreAiNotes({ attention = 'ORIGINAL', sizes }: AskedOptions): string[] {
  return [
    ...(sizes.unetBatch === undefined
      ? []
      : ['--unet-batch-one leaves Core AI’s UNet as it is: Apple’s Core AI pipelines pass two rows.']),
    // Other implementations are other operations, in which no attention can be told.
    ...(attention === 'ORIGINAL'
      ? []
      : [
          `with --attention ${attention} no attention is declared to Core AI, which then has no kernel of its own for it: ORIGINAL, the default, declares it.`,
        ]),
  ];
}
