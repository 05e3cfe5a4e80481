import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type * as Ort from 'onnxruntime-node';
import { SdConvertError } from '../../../errors.ts';
import { type CarriedError, carried } from '../../../io/carried-error.ts';
import { readStored, type StoredTensor, storeTensor } from '../../../weights/stored-tensor.ts';
import type { TensorData } from '../../../weights/tensor-data.ts';
import type { ValueInfo } from '../../runner.ts';
import { dtypeOfOrt, dtypeOfOrtType, ortTypeOf } from './ort-types.ts';

/**
 * The worker thread of `ort-host.ts`, and the only place where onnxruntime is loaded: loading and running a model
 * block the thread they are on. It answers first with `opened`, then each run in turn with `ran`, or with `failed`;
 * asked to load only, with `loaded`.
 */

/** Data that the worker is started with. */
export type OrtWorkerData = OrtModel | 'load only';

interface OrtModel {
  /** A file, or the bytes of one. */
  readonly model: string | { readonly bytes: Uint8Array; readonly dataFolder: string };
  readonly optimize: boolean;
  /** File for the graph that will be computed; not written when left out. */
  readonly saveGraphTo?: string | undefined;
  /** Whether inputs and outputs of types that sdconvert does not know are not mentioned; they are an error otherwise. */
  readonly skipUnknownTypes?: boolean | undefined;
}

export type OrtRequest =
  | { readonly kind: 'run'; readonly feeds: readonly Named<TensorData>[] }
  | {
      readonly kind: 'run stored';
      readonly feeds: readonly Named<StoredTensor>[];
      /** Beginning of the paths of the files that get the outputs. */
      readonly outputFiles: string;
    }
  | { readonly kind: 'close' };

export type OrtReply =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'opened'; readonly inputs: readonly ValueInfo[]; readonly outputs: readonly ValueInfo[] }
  | { readonly kind: 'ran'; readonly outputs: readonly Named<TensorData>[] }
  | { readonly kind: 'ran stored'; readonly outputs: readonly Named<StoredTensor>[] }
  | OrtFailure;

export interface OrtFailure {
  readonly kind: 'failed';
  readonly at: 'import' | 'open' | 'run' | 'crash' | 'closed';
  readonly message: string;
  /** Where a value could not be read or written, or the machine has too little of something. */
  readonly error?: CarriedError | undefined;
}

type Named<T> = readonly [name: string, tensor: T];

/**
 * Measured on the UNet of SD 1.5 at 512 × 512, two rows, 2 cores: memory at its peak and between runs, CPU time of a run.
 *
 *     1.72 GB of float16   optimised 10.5 GB 10.5 GB 33 s   without arena 7.6 GB 4.9 GB 31 s   not optimised 5.6 GB 1.8 GB 43 s
 *     3.44 GB of float32   optimised  7.5 GB  7.5 GB 33 s   without arena 5.6 GB 3.9 GB 30 s   not optimised 6.7 GB 3.8 GB 38 s
 *
 * So the arena, which keeps all it ever took, is always off. Optimised, the weights become float32 in memory, which takes
 * 17 s; otherwise they stay mapped from the file (1 s), where packing would copy them, and threads that wait sleep: four
 * validations side by side took 8.4 s instead of 12.1 s.
 */
function sessionOptions({ model, optimize, saveGraphTo }: OrtModel): Ort.InferenceSession.SessionOptions {
  const saved = saveGraphTo === undefined ? {} : { optimizedModelFilePath: saveGraphTo };
  const always = { enableCpuMemArena: false, logSeverityLevel: FATAL, ...saved } as const;
  const dataFolder = typeof model === 'string' ? undefined : model.dataFolder;
  const data = dataFolder === undefined ? {} : { model_external_initializers_file_folder_path: dataFolder };
  if (optimize)
    return {
      ...always,
      graphOptimizationLevel: 'all',
      extra: { session: { ...data, intra_op: { allow_spinning: '0' } } },
    };
  const session = { ...data, disable_prepacking: '1', intra_op: { allow_spinning: '0' } };
  // A pattern is one block for all of a run's values.
  return { ...always, enableMemPattern: false, graphOptimizationLevel: 'disabled', extra: { session } };
}

/** Errors are thrown as well, so onnxruntime need not write them to the terminal. */
const FATAL = 4;

async function serve(port: MessagePort, work: OrtWorkerData): Promise<void> {
  const ort = await during(port, 'import', importOnnxruntime);
  if (work === 'load only') return reply(port, { kind: 'loaded' });
  await serveModel(port, ort, work);
}

async function serveModel(port: MessagePort, ort: typeof Ort, work: OrtModel): Promise<void> {
  const { model } = work;
  const session = await during(port, 'open', async () => {
    const opened =
      typeof model === 'string'
        ? await ort.InferenceSession.create(model, sessionOptions(work))
        : await ort.InferenceSession.create(model.bytes, sessionOptions(work));
    const known = (infos: readonly Ort.InferenceSession.ValueMetadata[]) =>
      infos.filter((info) => !work.skipUnknownTypes || isKnown(info)).map(valueInfo);
    const [inputs, outputs] = [known(opened.inputMetadata), known(opened.outputMetadata)];
    reply(port, { kind: 'opened', inputs, outputs });
    return opened;
  });

  const answer = async (request: OrtRequest): Promise<void> => {
    if (request.kind === 'close') {
      await session.release().finally(() => port.close());
      return;
    }
    const compute = async (feeds: readonly Named<TensorData>[]) => {
      const tensors = feeds.map(([name, value]) => [name, ortTensor(ort, value)] as const);
      const results = await session.run(Object.fromEntries(tensors));
      return session.outputNames.map((name) => [name, tensorData(name, results[name])] as const);
    };
    reply(
      port,
      request.kind === 'run'
        ? { kind: 'ran', outputs: await compute(request.feeds) }
        : { kind: 'ran stored', outputs: await computeStored(request, compute) },
    );
  };
  let previous: Promise<unknown> = Promise.resolve();
  port.on('message', (request: OrtRequest) => {
    previous = previous.then(() => during(port, 'run', () => answer(request)).catch(() => {}));
  });
}

/** Reports what goes wrong to the thread that waits, and passes it on. */
async function during<T>(port: MessagePort, at: OrtFailure['at'], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply(port, {
      kind: 'failed',
      at,
      message,
      error: error instanceof SdConvertError ? carried(error) : undefined,
    });
    throw error;
  }
}

/** Posts a reply; the outputs' memory moves along instead of being copied. */
function reply(port: MessagePort, message: OrtReply): void {
  port.postMessage(
    message,
    message.kind === 'ran' ? message.outputs.map(([, value]) => bufferOf(value)) : [],
  );
}

/** Reads the feeds from their files, and writes the outputs to theirs. */
async function computeStored(
  { feeds, outputFiles }: Extract<OrtRequest, { kind: 'run stored' }>,
  compute: (feeds: readonly Named<TensorData>[]) => Promise<readonly Named<TensorData>[]>,
): Promise<readonly Named<StoredTensor>[]> {
  const read: Named<TensorData>[] = [];
  for (const [name, value] of feeds) read.push([name, await readStored(value)]);
  const outputs: Named<StoredTensor>[] = [];
  for (const [at, [name, value]] of (await compute(read)).entries()) {
    outputs.push([name, await storeTensor(value, `${outputFiles}${at}`)]);
    bufferOf(value).transfer(0); // free at once, not when garbage is collected
  }
  for (const [, value] of read) bufferOf(value).transfer(0);
  return outputs;
}

/** as: onnxruntime allocates plain buffers, never shared ones. */
function bufferOf({ data }: TensorData): ArrayBuffer {
  return data.buffer as ArrayBuffer;
}

async function importOnnxruntime(): Promise<typeof Ort> {
  // Otherwise onnxruntime leaves telemetry files in the temporary folder. It reads the process's own environment, which
  // this thread shares for that.
  process.env.ORT_DISABLE_TELEMETRY = '1';
  // Where Float16Array exists (Node 23 and later), onnxruntime-node 1.30 wraps float16 inputs in it and then rejects
  // them (microsoft/onnxruntime#32323). This thread has its own globals: without it, float16 goes in and out as bits.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  const ort = await import('onnxruntime-node');
  ort.env.logLevel = 'fatal';
  return ort;
}

function ortTensor(ort: typeof Ort, { dtype, shape, data }: TensorData): Ort.Tensor {
  return new ort.Tensor(ortTypeOf(dtype), data as Float32Array, shape);
}

function tensorData(name: string, tensor: Ort.Tensor | undefined): TensorData {
  if (!tensor) throw new Error(`${name} was not computed`);
  // as: dtypes are paired with arrays as above, the other way round.
  return { dtype: dtypeOfOrt(name, tensor.type), shape: [...tensor.dims], data: tensor.data } as TensorData;
}

function isKnown(info: Ort.InferenceSession.ValueMetadata): boolean {
  return info.isTensor && dtypeOfOrtType(info.type) !== undefined;
}

function valueInfo(info: Ort.InferenceSession.ValueMetadata): ValueInfo {
  if (!info.isTensor) throw new Error(`${info.name} is not a tensor`);
  return { name: info.name, dtype: dtypeOfOrt(info.name, info.type), dims: [...info.shape] };
}

// A failure has been reported by then; the thread ends by itself.
if (parentPort) await serve(parentPort, workerData).catch(() => {});
