import { type Context, throwIfInterrupted } from '../context.ts';
import { requireOnnxruntime } from '../formats/onnx/onnx-session.ts';
import { noteNonFinite, type TensorMap } from '../formats/runner.ts';
import { openChain } from '../run/chain.ts';
import { feedsFor } from '../run/feeds.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** What to run, and on what. */
export interface RunRequest {
  /** Models in the order in which they run: one, or the chunks of one. */
  readonly artifacts: readonly string[];
  /** A tensor for each input; what else lies beside them is left alone. */
  readonly inputs: TensorMap;
  /** Spend time and memory on loading to run faster: worth it for many runs, not for a few. */
  readonly optimize: boolean;
  /** Core ML models: round what they declare float16, operation by operation, so that overflow shows. */
  readonly roundToFloat16: boolean;
}

/** What `runArtifacts` does when nothing else is asked for. */
export const runDefaults = { optimize: false, roundToFloat16: false } as const satisfies Partial<RunRequest>;

/** Only `artifacts` and `inputs` are needed. */
export type RunOptions = OptionsOf<RunRequest, typeof runDefaults>;

/**
 * Runs one model, or the chunks of one in order, on one set of inputs. These may have either contract's names, dtypes and
 * layouts; what else lies beside them (recorded outputs, say) is left alone. Gives the outputs of the last model. Throws
 * `RequestError` for a tensor that is missing or does not fit, `InterruptedError`, and what opening the models throws.
 *
 * @example await runArtifacts({ artifacts: ['out/onnx/unet_chunk1', 'out/onnx/unet_chunk2'], inputs }) // { out_sample: [2, 4, 64, 64] }
 */
export async function runArtifacts(options: RunOptions, context: Context = {}): Promise<TensorMap> {
  checkRequest('run', options);
  const request = withDefaults<RunRequest, typeof runDefaults>(runDefaults, options);
  const { artifacts, inputs, optimize, roundToFloat16 } = request;
  const { signal, onProgress } = context;
  throwIfInterrupted(signal);
  await requireOnnxruntime();
  const how = { optimize, roundToFloat16, onNonFinite: noteNonFinite(context) };
  const model = await openChain(artifacts, how);
  try {
    const feeds = feedsFor(model, inputs);
    throwIfInterrupted(signal);
    onProgress?.({ type: 'progress', stage: 'run', what: model.path, done: 0, total: 1 });
    return await model.run(feeds);
  } finally {
    await model.close();
  }
}
