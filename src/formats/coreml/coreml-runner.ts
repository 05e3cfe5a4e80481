import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, parse, resolve } from 'node:path';
import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import { removePath, writeFile } from '../../io/disk.ts';
import { numbersOf } from '../../weights/tensor-values.ts';
import { openOnnxSession } from '../onnx/onnx-session.ts';
import { encodeModel } from '../onnx/proto.ts';
import type { Runner, RunnerOptions } from '../runner.ts';
import type { MilModel } from './mil/mil-model.ts';
import { milToOnnx, NOT_FINITE, type OnnxOfProgram, type TracedValue } from './to-onnx/to-onnx.ts';

/**
 * Loads an open Core ML model into onnxruntime, on any machine: translated to ONNX, with its weights read from their files.
 * The model may be closed afterwards. Compressed weights are decoded into a temporary file, which is removed before this
 * returns or throws, or by the runner's `close` where a file in use cannot be removed. float16 inputs and outputs are float32. Throws as `openOnnxSession` does, and `UnsupportedModelError` for operations that cannot be run.
 */
export async function runMil(model: MilModel, options: RunnerOptions): Promise<Runner> {
  const { path } = model;
  const folders = {
    dataFolder: parse(resolve(path)).root,
    decodedFolder: join(tmpdir(), `sdconvert-${randomUUID()}`),
  };
  const clear = () => removePath(folders.decodedFolder);
  try {
    const program = await milToOnnx(model, { roundToFloat16: options.roundToFloat16 ?? false, ...folders });
    await writeDecoded(program, folders.dataFolder);
    const session = await openSession(path, program, folders.dataFolder, options);
    return runnerOf(path, session, program.trace, options, clear);
  } finally {
    // Windows does not remove files in use: `close` tries again.
    await clear().catch(() => {});
  }
}

function runnerOf(
  path: string,
  session: Runner,
  trace: readonly TracedValue[],
  { onNonFinite }: RunnerOptions,
  clear: () => Promise<void>,
): Runner {
  return {
    path,
    inputs: session.inputs,
    outputs: session.outputs.filter(({ name }) => name !== NOT_FINITE),
    async run(feeds) {
      const outputs = new Map(await session.run(feeds));
      const flags = outputs.get(NOT_FINITE);
      outputs.delete(NOT_FINITE);
      const found = flags && firstNonFinite(trace, numbersOf(flags));
      if (found) onNonFinite?.({ path, value: found.name, operation: found.operation });
      return outputs;
    },
    async close() {
      await session.close();
      await clear();
    },
  };
}

async function writeDecoded({ dataFiles }: OnnxOfProgram, folder: string): Promise<void> {
  for (const { location, tensors } of dataFiles) {
    await writeFile(join(folder, location), async (sink) => {
      for (const { tensor, offset } of tensors) {
        let position = offset;
        for await (const block of tensor.stream()) {
          await sink.write(block, position);
          position += block.length;
        }
      }
    });
  }
}

async function openSession(
  path: string,
  { proto }: OnnxOfProgram,
  dataFolder: string,
  options: RunnerOptions,
): Promise<Runner> {
  const bytes = encodeModel(proto);
  return openOnnxSession({ path, bytes, dataFolder }, options).catch((error: unknown) => {
    if (!(error instanceof FileFormatError)) throw error;
    throw new UnsupportedModelError({
      problem: `${path} cannot be run on this machine: onnxruntime rejects its translation to ONNX.`,
      details: error.details,
    });
  });
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
