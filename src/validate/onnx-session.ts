import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { FileFormatError, NotFoundError, RequestError, type SdConvertError } from '../errors.ts';
import { openFile } from '../weights/disk.ts';
import { bytesOf, type TensorData, tensorOf } from '../weights/tensor-data.ts';
import type { OrtFailure, OrtReply, OrtRequest, OrtWorkerData } from './ort-worker.ts';
import type { Runner, RunnerOptions } from './runner.ts';

/**
 * Loads an ONNX model to be run by onnxruntime in a thread of its own; closing it gives its memory back.
 * Throws `NotFoundError` when the file is not there or onnxruntime-node is not installed, `FileFormatError` when
 * onnxruntime cannot load the file; `run` throws `RequestError` for feeds that the model does not take.
 */
export async function openOnnxSession(path: string, { optimize }: RunnerOptions): Promise<Runner> {
  await (await openFile(path)).close();
  const thread = new OrtThread({ path, optimize });
  const opened = await thread.opened;
  if (opened.kind !== 'opened') {
    await thread.close();
    throw failure(path, opened);
  }
  return {
    path,
    inputs: opened.inputs,
    outputs: opened.outputs,
    async run(feeds) {
      const reply = await thread.run(feeds);
      if (reply.kind !== 'ran') throw failure(path, reply);
      return new Map(reply.outputs);
    },
    close: () => thread.close(),
  };
}

/** The thread of one session. It answers in the order it is asked. */
class OrtThread {
  /** Its first answer: the model's borders. */
  readonly opened: Promise<Exclude<OrtReply, { kind: 'ran' }>>;
  readonly #worker: Worker;
  readonly #ended: Promise<unknown>;
  readonly #waiting: ((reply: OrtReply) => void)[] = [];
  #error = 'the model is closed';

  constructor(workerData: OrtWorkerData) {
    // The worker stands beside this file: as .ts in the sources, as .js where they are compiled.
    const file = new URL(`./ort-worker${extname(import.meta.url)}`, import.meta.url);
    this.#worker = new Worker(file, { workerData });
    this.#worker.on('message', (reply: OrtReply) => this.#waiting.shift()?.(reply));
    this.#worker.on('error', (error) => {
      this.#error = String(error);
    });
    this.#ended = new Promise((resolve) => { this.#worker.once('exit', resolve)}).then(() => this.#refuseAll());
    this.opened = this.#reply();
  }
}
