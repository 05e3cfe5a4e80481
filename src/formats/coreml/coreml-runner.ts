import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, parse, resolve } from 'node:path';
import { removePath, writeFile } from '../../io/disk.ts';
import { numbersOf } from '../../weights/tensor-values.ts';
import { bordersOf } from '../onnx/edges/onnx-borders.ts';
import { writeTensors } from '../onnx/external-data.ts';
import { encodeModel } from '../onnx/proto.ts';
import { openOnnxSession } from '../onnx/run/onnx-session.ts';
import type { Runnable, RunnableOptions, Runner, RunnerOptions, TensorMap } from '../runner.ts';
import type { MilModel } from './mil/mil-model.ts';
import { milToOnnx, NOT_FINITE, type TracedValue } from './to-onnx/to-onnx.ts';

/**
 * Loads an open Core ML model into onnxruntime, on any machine: translated to ONNX, with its weights read from their files.
 * The model may be closed afterwards. Compressed weights are decoded into a temporary file, which is removed before this
 * returns or throws, or by the runner's `close` where a file in use cannot be removed. float16 inputs and outputs are float32. Throws as `openOnnxSession` does, and `UnsupportedModelError` for operations that cannot be run.
 */
export async function runMil(model: MilModel, options: RunnerOptions): Promise<Runner> {
  const runnable = await runnableMil(model, options);
  const clear = () => removePath(runnable.decodedFolder);
  try {
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

/** A Core ML model translated to ONNX. */
interface RunnableMil extends Runnable {
  readonly dataFolder: string;
  /** Where its compressed weights will be, decoded. */
  readonly decodedFolder: string;
  outputsOf(found: TensorMap): TensorMap;
}

/** Translates an open Core ML model, which must stay open, to ONNX. Throws as `milToOnnx` does. */
export async function runnableMil(
  model: MilModel,
  { roundToFloat16 = false, onNonFinite }: RunnableOptions,
): Promise<RunnableMil> {
  const { path } = model;
  const folders = {
    dataFolder: parse(resolve(path)).root,
    decodedFolder: join(tmpdir(), `sdconvert-${randomUUID()}`),
  };
  const { trace, ...program } = await milToOnnx(model, { roundToFloat16, ...folders });
  const borders = bordersOf(program.proto, path);
  return {
    ...folders,
    ...borders,
    outputs: borders.outputs.filter(({ name }) => name !== NOT_FINITE),
    model: program,
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

async function writeDecoded({ model, dataFolder }: RunnableMil): Promise<void> {
  for (const file of model.dataFiles)
    await writeFile(join(dataFolder, file.location), (sink) => writeTensors(sink, file));
}

/** Finds the first non-finite value whose inputs are all finite: the source of the others. */
function firstNonFinite(trace: readonly TracedValue[], flags: ArrayLike<number>): TracedValue | undefined {
  const tainted = new Set<string>();
  for (const value of trace) {
    const { name, operation, inputs, index } = value;
    const inherits = inputs.some((input) => tainted.has(input));
    const isTainted = index === undefined ? inherits : flags[index] === 1;
    if (isTainted && index !== undefined && !inherits && operation !== 'const') return value;
    if (isTainted) tainted.add(name);
  }
  return undefined;
}
