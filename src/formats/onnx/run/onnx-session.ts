import { dirname, resolve } from 'node:path';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { FileFormatError, RequestError, SdConvertError, UnsupportedModelError } from '../../../errors.ts';
import { openFile } from '../../../io/disk.ts';
import { scriptBeside } from '../../../io/script-beside.ts';
import { copyOf, type TensorData } from '../../../weights/tensor-data.ts';
import type { Runner, RunnerOptions, TensorMap, TextEncoderChanges } from '../../runner.ts';
import { changeTextEncoder } from '../change-text-encoder.ts';
import { decodeModel, encodeModel } from '../proto.ts';
import { openOnnx } from '../read-onnx.ts';
import { onnxruntimeMissing } from './onnxruntime-missing.ts';
import type { OrtFailure, OrtReply, OrtRequest, OrtWorkerData } from './ort-worker.ts';

/** An ONNX model in memory whose data lies in files. */
export interface OnnxInMemory {
  /** Name for error texts. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Folder of its data; locations are relative to it and must not leave it. */
  readonly dataFolder: string;
  /** Whether it was translated from another format, which is as it should be where onnxruntime rejects the translation. */
  readonly isTranslation?: boolean | undefined;
}

/** Options of loading an ONNX model. */
export interface SessionOptions extends Pick<RunnerOptions, 'optimize' | 'textEncoder'> {
  /** File for the graph that onnxruntime makes of the model and computes. */
  readonly saveGraphTo?: string | undefined;
  /** Whether inputs and outputs of types that sdconvert does not know are left out; refused otherwise. */
  readonly skipUnknownTypes?: boolean;
  /** Whether the feeds become the session's, each with a buffer of its own; they are copied when left out. */
  readonly takesFeeds?: boolean;
}

/**
 * Loads an ONNX model to be run by onnxruntime, in a thread of its own that lives until `close`. Throws `NotFoundError`
 * when the file is missing or onnxruntime-node is not installed, `UnsupportedModelError` where it has no build for this
 * machine or it rejects a translation, `FileFormatError` when onnxruntime cannot load the file; `run` throws `RequestError` for feeds that the model does not take, `SdConvertError` when onnxruntime crashes.
 */
export async function openOnnxSession(
  stored: string | OnnxInMemory,
  { optimize, textEncoder, saveGraphTo, skipUnknownTypes, takesFeeds = false }: SessionOptions,
): Promise<Runner> {
  const path = typeof stored === 'string' ? stored : stored.path;
  if (typeof stored === 'string') await (await openFile(path)).close();
  const model = textEncoder ? await changed(stored, textEncoder) : stored;
  const thread = new OrtThread({ model, optimize, saveGraphTo, skipUnknownTypes });
  const opened = await thread.nextReply();
  if (opened.kind !== 'opened') {
    await thread.close();
    throw await failure(path, opened, typeof stored !== 'string' && stored.isTranslation);
  }
  const { inputs, outputs } = opened;
  return {
    path,
    inputs,
    outputs,
    async run(feeds) {
      const reply = await thread.run(takesFeeds ? [...feeds] : copied(feeds));
      if (reply.kind !== 'ran') throw await failure(path, reply);
      return new Map(reply.outputs);
    },
    close: () => thread.close(),
  };
}

/** A text encoder in memory, changed. Throws as `openOnnx` and `changeTextEncoder` do. */
async function changed(model: string | OnnxInMemory, changes: TextEncoderChanges): Promise<OnnxInMemory> {
  if (typeof model !== 'string') {
    const proto = changeTextEncoder(decodeModel(model.bytes), changes, model.path);
    return { ...model, bytes: encodeModel(proto) };
  }
  const { proto, close } = await openOnnx(model);
  await close(); // onnxruntime reads its data
  const bytes = encodeModel(changeTextEncoder(proto, changes, model));
  return { path: model, bytes, dataFolder: resolve(dirname(model)) };
}

/**
 * Checks that onnxruntime-node loads, before any work that will need it. Throws `NotFoundError` when it is not installed
 * or does not load, `UnsupportedModelError` where it has no build for this machine.
 */
export async function requireOnnxruntime(): Promise<void> {
  if (hasLoaded) return;
  const thread = new OrtThread('load only');
  const reply = await thread.nextReply();
  await thread.close();
  if (reply.kind !== 'loaded') throw await failure('no model', reply);
  hasLoaded = true;
}

/** Whether it has loaded in this process: then it will load again. */
let hasLoaded = false;

/** Worker thread of one session: answers its requests in order. */
class OrtThread {
  readonly #worker: Worker;
  readonly #exit: Promise<unknown>;
  readonly #waiting: ((reply: OrtReply) => void)[] = [];
  #isClosing = false;
  /** Reason for which it takes no more requests. */
  #ended: OrtFailure | undefined;

  constructor(workerData: OrtWorkerData) {
    this.#worker = new Worker(scriptBeside('ort-worker', import.meta.url), { workerData, env: SHARE_ENV });
    this.#worker.on('message', (reply: OrtReply) => this.#waiting.shift()?.(reply));
    // The listener stays: the next run reports a crash between runs.
    this.#worker.on('error', (error) => this.#end('crash', String(error)));
    this.#worker.on('exit', (code) =>
      this.#end(this.#isClosing ? 'closed' : 'crash', `it ended with exit code ${code}`),
    );
    // Not events.once, which rejects when the worker fails first.
    this.#exit = new Promise((done) => this.#worker.once('exit', done));
  }

  nextReply(): Promise<OrtReply> {
    const { promise, resolve } = Promise.withResolvers<OrtReply>();
    if (this.#ended === undefined) this.#waiting.push(resolve);
    else resolve(this.#ended);
    return promise;
  }

  /** The feeds' buffers move to the worker. */
  run(feeds: readonly (readonly [string, TensorData])[]): Promise<OrtReply> {
    const moved = feeds.map(([, { data }]) => data.buffer as ArrayBuffer); // as: no tensor is in a shared buffer
    this.#worker.postMessage({ kind: 'run', feeds } satisfies OrtRequest, moved);
    return this.nextReply();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#worker.postMessage({ kind: 'close' } satisfies OrtRequest);
    await this.#exit;
  }

  #end(at: OrtFailure['at'], message: string): void {
    this.#ended ??= { kind: 'failed', at, message };
    for (const resolve of this.#waiting.splice(0)) resolve(this.#ended);
  }
}

function copied(feeds: TensorMap): (readonly [string, TensorData])[] {
  return [...feeds].map(([name, tensor]) => [name, copyOf(tensor)] as const);
}

async function failure(path: string, reply: OrtReply, isTranslation = false): Promise<SdConvertError> {
  const { at, message } = reply.kind === 'failed' ? reply : unexpected(reply);
  const found = message.split('\n', 1)[0] ?? '';
  switch (at) {
    case 'import':
      return onnxruntimeMissing(found, process);
    case 'open':
      if (isTranslation)
        return new UnsupportedModelError({
          problem: `${path} cannot be run on this machine: onnxruntime rejects its translation to ONNX.`,
          details: { onnxruntime: found },
        });
      return new FileFormatError({
        problem: `${path} cannot be loaded as an ONNX model.`,
        details: { onnxruntime: found },
        advice: 'It is damaged, or its data files are not beside it: copy or convert it again.',
      });
    case 'run':
      return new RequestError({
        problem: `${path} cannot be run with these inputs.`,
        details: { onnxruntime: found },
        advice:
          'Compare them with what sdconvert inspect says of its inputs; in a prompt, its tokenizer may have words that the model does not.',
      });
    case 'crash':
      return new SdConvertError({
        problem: `onnxruntime crashed while it had ${path} loaded.`,
        details: { found },
        advice: 'It may have run out of memory: close other programs, or run fewer models at a time.',
      });
    case 'closed':
      return new RequestError({ problem: `${path} has been closed and cannot be run any more.` });
  }
}

function unexpected({ kind }: OrtReply): OrtFailure {
  throw new Error(`the onnxruntime worker answered ${kind} out of turn`);
}
