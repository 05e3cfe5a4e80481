import { parentPort, workerData } from 'node:worker_threads';
import type * as Ort from 'onnxruntime-node';
import type { DType } from '../weights/dtype.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { ValueInfo } from './runner.ts';

/**
 * The worker thread of `onnx-session.ts`, and the only place where onnxruntime is loaded: loading and running a model
 * block the thread they are on. It answers each message in turn: first with `opened`, then each run with `ran`, or with
 * `failed`.
 */

/** What the worker is started with. */
export interface OrtWorkerData {
  readonly path: string;
  readonly optimize: boolean;
}

export type OrtRequest = { readonly kind: 'run'; readonly feeds: NamedTensors } | { readonly kind: 'close' };

export type OrtReply =
  | { readonly kind: 'opened'; readonly inputs: readonly ValueInfo[]; readonly outputs: readonly ValueInfo[] }
  | { readonly kind: 'ran'; readonly outputs: NamedTensors }
  | { readonly kind: 'failed'; readonly at: 'import' | 'open' | 'run'; readonly message: string };

type NamedTensors = readonly (readonly [name: string, tensor: TensorData])[];

/** The dtypes as onnxruntime's JavaScript spells them; it has no bfloat16. */
const ortTypes = {
  f64: 'float64',
  f32: 'float32',
  f16: 'float16',
  i64: 'int64',
  i32: 'int32',
  i16: 'int16',
  i8: 'int8',
  u64: 'uint64',
  u32: 'uint32',
  u16: 'uint16',
  u8: 'uint8',
  bool: 'bool',
} as const satisfies Partial<Record<DType, Ort.Tensor.Type>>;

/**
 * Without optimisation the weights stay mapped from the file and float16 is kept between operations.
 * Measured on the UNet of SD 1.5 in float16 (1.72 GB of weights): see docs in `sessionOptions`.
 */
function sessionOptions(optimize: boolean): Ort.InferenceSession.SessionOptions {
  const quiet = { logSeverityLevel: 4 } as const;
  if (optimize) return { ...quiet, graphOptimizationLevel: 'all' };
  return {
    ...quiet,
    graphOptimizationLevel: 'disabled',
    enableCpuMemArena: false,
    extra: { session: { disable_prepacking: '1' } },
  };
}

async function main(port: NonNullable<typeof parentPort>, { path, optimize }: OrtWorkerData): Promise<void> {
  const reply = (message: OrtReply, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);
  const failed = (at: 'import' | 'open' | 'run', error: unknown) =>
    reply({ kind: 'failed', at, message: error instanceof Error ? error.message : String(error) });

  const ort = await importOnnxruntime().catch((error) => failed('import', error));
  if (!ort) return;
  const session = await ort.InferenceSession.create(path, sessionOptions(optimize)).catch((error) =>
    failed('open', error),
  );
  if (!session) return;
  try {
    const [inputs, outputs] = [session.inputMetadata.map(valueInfo), session.outputMetadata.map(valueInfo)];
    reply({ kind: 'opened', inputs, outputs });
  } catch (error) {
    return failed('open', error);
  }

  const answer = async (request: OrtRequest) => {
    if (request.kind === 'close') {
      await session.release();
      port.close();
      return;
    }
    try {
      const feeds = request.feeds.map(([name, tensor]) => [name, ortTensor(ort, tensor)] as const);
      const results = await session.run(Object.fromEntries(feeds));
      const outputs = session.outputNames.map((name) => [name, tensorData(results[name])] as const);
      reply({ kind: 'ran', outputs }, movable(outputs));
    } catch (error) {
      failed('run', error);
    }
  };
  let last = Promise.resolve();
  port.on('message', (request: OrtRequest) => {
    last = last.then(() => answer(request));
  });
}

async function importOnnxruntime(): Promise<typeof Ort> {
  // Where Float16Array exists (Node 23 and later), onnxruntime-node 1.30 wraps float16 inputs in it and then rejects
  // them (microsoft/onnxruntime#32323). This thread is ours alone: without it, float16 is its 16 bits in and out.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  const { default: ort } = await import('onnxruntime-node');
  ort.env.logLevel = 'fatal';
  return ort;
}
