import { type Context, throwIfInterrupted } from '../context.ts';
import { noteNonFinite, type RunnerOptions, type TensorMap } from '../formats/runner.ts';
import { openChain } from '../run/chain.ts';
import { feedsFor } from '../run/feeds.ts';

/** How artifacts are run: see `RunnerOptions`. */
export type RunOptions = Partial<Pick<RunnerOptions, 'optimize' | 'roundToFloat16'>>;

/**
 * Runs one model, or the chunks of one in order, on one set of inputs. These may have either contract's names, dtypes and
 * layouts; what else lies beside them (recorded outputs, say) is left alone. Gives the outputs of the last model. Throws
 * `RequestError` for a tensor that is missing or does not fit, `InterruptedError`, and what opening the models throws.
 *
 * @example await runArtifacts(['out/onnx/unet_chunk1', 'out/onnx/unet_chunk2'], inputs) // { out_sample: [2, 4, 64, 64] }
 */
export async function runArtifacts(
  paths: readonly string[],
  inputs: TensorMap,
  { optimize = false, roundToFloat16 = false, ...context }: RunOptions & Context = {},
): Promise<TensorMap> {
  const { signal, onProgress } = context;
  throwIfInterrupted(signal);
  const model = await openChain(paths, { optimize, roundToFloat16, onNonFinite: noteNonFinite(context) });
  try {
    const feeds = feedsFor(model, inputs);
    throwIfInterrupted(signal);
    onProgress?.({ type: 'progress', stage: 'run', what: model.path, done: 0, total: 1 });
    return await model.run(feeds);
  } finally {
    await model.close();
  }
}
