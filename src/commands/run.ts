import { type FromHub, locateRequested } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage, throwIfInterrupted } from '../context.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import { noteNonFinite, type TensorMap } from '../formats/runner.ts';
import { openChain } from '../run/chain.ts';
import { feedsFor } from '../run/feeds.ts';
import { count } from '../text.ts';
import { type NamedTensor, writeSafetensors } from '../weights/safetensors-writer.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { refuseOtherFile } from './refuse-existing.ts';
import { refuseRounding } from './refuse-rounding.ts';

/** Models to run, and their inputs. */
export interface RunRequest extends FromHub {
  /** One model, or its chunks in the order in which they run. */
  readonly artifacts: readonly string[];
  /** A tensor for each input; other tensors are ignored. */
  readonly inputs: TensorMap;
  /** A `.safetensors` to write the inputs that were used and the outputs into: a reference for `validate`. */
  readonly record?: string | undefined;
  /** Optimise the graph when loading: slower to load and more memory, but faster to run; worth it for many runs. */
  readonly optimize: boolean;
  /** Core ML models: round to float16 after every operation declared float16, so that overflow shows. */
  readonly roundToFloat16: boolean;
}

/** Defaults of `runArtifacts`. */
export const runDefaults = { optimize: false, roundToFloat16: false } as const satisfies Partial<RunRequest>;

/** Options of `runArtifacts`; only `artifacts` and `inputs` are required. */
export type RunOptions = OptionsOf<RunRequest, typeof runDefaults>;

/**
 * Runs one model, or its chunks in order, on one set of inputs, and returns the outputs of the last model. Inputs may have
 * the names, dtypes and layouts of either contract; other tensors, such as recorded outputs, are ignored. Throws
 * `RequestError` for a tensor that is missing or does not fit, `OutputExistsError` for a record in the place of another file,
 * `OutputBusyError` while another run writes into their conversion, `InterruptedError`, and what opening the models throws.
 *
 * @example await runArtifacts({ artifacts: ['out/onnx/unet_chunk1', 'out/onnx/unet_chunk2'], inputs }) // { out_sample: [2, 4, 64, 64] }
 */
export async function runArtifacts(options: RunOptions, context: Context = {}): Promise<TensorMap> {
  checkRequest('run', options);
  await requireOnnxruntime();
  const given = withDefaults<RunRequest, typeof runDefaults>(runDefaults, options);
  if (given.record !== undefined) await refuseOtherFile(given.record);
  const request = await locateRequested(given, { artifacts: 'models' }, context);
  const { artifacts, inputs, record, optimize, roundToFloat16 } = request;
  await noteUnlikeRecord(artifacts, context);
  const { signal, onProgress } = context;
  throwIfInterrupted(signal);
  await refuseRounding(request, artifacts);
  const how = { optimize, roundToFloat16, onNonFinite: noteNonFinite(context) };
  return inStage('run', context, () =>
    whileOutputsStay(artifacts, async (requireUnchanged) => {
      const model = await openChain(artifacts, how);
      try {
        const feeds = feedsFor(model, inputs);
        throwIfInterrupted(signal);
        onProgress?.({ type: 'progress', stage: 'run', what: model.path, done: 0, total: 1 });
        const output = await model.run(feeds);
        await requireUnchanged();
        if (record !== undefined) await writeSafetensors(record, named(feeds, output));
        return { output, detail: `${model.path}: ${count(output.size, 'output')}` };
      } finally {
        await model.close();
      }
    }),
  );
}

/** Tensors under their names, to be written into one file. */
function named(...maps: readonly TensorMap[]): NamedTensor[] {
  return maps.flatMap((tensors) => [...tensors].map(([name, tensor]) => ({ name, ...tensor })));
}
