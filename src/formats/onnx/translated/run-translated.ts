import { join, parse, resolve } from 'node:path';
import { writeFile } from '../../../io/disk.ts';
import { claimTemporaryFolder } from '../../../io/temporary-folder.ts';
import { numbersOf } from '../../../weights/tensor-values.ts';
import type { Runnable, RunnableOptions, Runner, RunnerOptions, TensorMap } from '../../runner.ts';
import type { OnnxModel } from '../build-model.ts';
import { bordersOf } from '../edges/onnx-borders.ts';
import { writeTensors } from '../external-data.ts';
import { encodeModel } from '../proto.ts';
import { openOnnxSession } from '../run/onnx-session.ts';
import { firstNonFinite, NOT_FINITE, type TracedValue } from './non-finite.ts';
import type { DataFolders } from './translated-model.ts';

/** Options of translating a model of another format to ONNX. */
export interface ToOnnxOptions extends DataFolders {
  /**
   * Whether results that the model declares float16 are rounded to float16, so that overflow shows; otherwise they stay
   * float32. Weights keep their stored values either way.
   */
  readonly roundToFloat16: boolean;
}

/** A model of another format as ONNX. Its weights lie in that format's files, but for the compressed ones: those, decoded, are `dataFiles`. */
export interface Translation extends OnnxModel {
  /** Values that the output `NOT_FINITE` reports on, with `roundToFloat16`. */
  readonly trace: readonly TracedValue[];
}

/** An open model of another format. */
export interface Translatable {
  /** Its file or folder. */
  readonly path: string;
  /** Throws `UnsupportedModelError` for operations without a translation. */
  toOnnx(options: ToOnnxOptions): Promise<Translation>;
}

/**
 * Loads an open model of another format into onnxruntime, on any machine: translated to ONNX, with its weights read from their files.
 * The model may be closed afterwards. Compressed weights are decoded into a temporary file, which is removed before this
 * returns or throws, or by the runner's `close` where a file in use cannot be removed. float16 inputs and outputs are float32. Throws as `openOnnxSession` does, and `UnsupportedModelError` for operations that cannot be run.
 */
export async function runTranslated(model: Translatable, options: RunnerOptions): Promise<Runner> {
  const decoded = await claimTemporaryFolder();
  const clear = () => decoded.remove();
  try {
    const runnable = await runnableTranslated(model, options, decoded.path);
    if (runnable.model.dataFiles.length > 0) await decoded.make();
    await writeDecoded(runnable);
    const { path, dataFolder, isTranslation } = runnable;
    const bytes = encodeModel(runnable.model.proto);
    const session = await openOnnxSession({ path, bytes, dataFolder, isTranslation }, options);
    return {
      path,
      inputs: session.inputs,
      outputs: session.outputs.filter(({ name }) => name !== NOT_FINITE),
      run: async (feeds) => runnable.outputsOf(await session.run(feeds)),
      async close() {
        await session.close();
        await clear();
      },
    };
  } finally {
    // Windows does not remove files in use: `close` tries again.
    await clear().catch(() => {});
  }
}

/** A model translated to ONNX. */
interface RunnableTranslation extends Runnable {
  readonly dataFolder: string;
  /** Where its compressed weights will be, decoded. */
  readonly decodedFolder: string;
  outputsOf(found: TensorMap): TensorMap;
}

/**
 * Translates an open model, which must stay open, to ONNX. Its decoded weights have their places in `decodedFolder`; who writes
 * them elsewhere needs none. Throws as `toOnnx` does.
 */
export async function runnableTranslated(
  model: Translatable,
  { roundToFloat16 = false, onNonFinite }: RunnableOptions,
  decodedFolder?: string,
): Promise<RunnableTranslation> {
  const { path } = model;
  const { root: dataFolder } = parse(resolve(path));
  const folders = { dataFolder, decodedFolder: decodedFolder ?? join(dataFolder, 'decoded') };
  const { trace, ...translated } = await model.toOnnx({ roundToFloat16, ...folders });
  const borders = bordersOf(translated.proto, path);
  return {
    ...folders,
    ...borders,
    outputs: borders.outputs.filter(({ name }) => name !== NOT_FINITE),
    model: translated,
    isTranslation: true,
    outputsOf(found) {
      const outputs = new Map(found);
      const flags = outputs.get(NOT_FINITE);
      outputs.delete(NOT_FINITE);
      const first = flags && firstNonFinite(trace, numbersOf(flags));
      if (first) onNonFinite?.({ path, value: first.name, operation: first.operation });
      return outputs;
    },
    close: async () => {},
  };
}

async function writeDecoded({ model, dataFolder }: RunnableTranslation): Promise<void> {
  for (const file of model.dataFiles)
    await writeFile(join(dataFolder, file.location), (sink) => writeTensors(sink, file));
}
