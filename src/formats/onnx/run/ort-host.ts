import type { ChildProcess } from 'node:child_process';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import type { SdConvertError } from '../../../errors.ts';
import { carried } from '../../../io/carried-error.ts';
import { exhausted } from '../../../io/exhausted.ts';
import { noteChildPeak } from '../../../io/peak-memory.ts';
import { scriptBeside } from '../../../io/script-beside.ts';
import { endOf, startProcess } from '../../../io/start-process.ts';
import type { ProcessReply } from './ort-process-worker.ts';
import type { OrtFailure, OrtReply, OrtRequest, OrtWorkerData } from './ort-worker.ts';

/** Where onnxruntime runs. */
export interface HostOptions {
  /**
   * A process of its own, of which nothing stays in memory once it has ended; a thread otherwise, of whose freed memory the C library
   * keeps a part (docs/decisions/0021-cut-what-is-executed.md).
   */
  readonly ownProcess?: boolean | undefined;
  /** Ends the process at once, also while it computes; a thread ends when it has computed. */
  readonly signal?: AbortSignal | undefined;
}

/** The worker thread of one session, in this process or in one of its own: answers its requests in order. */
export class OrtHost {
  readonly #host: Worker | ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #waiting: ((reply: OrtReply) => void)[] = [];
  #isClosing = false;
  /** Reason for which it takes no more requests. */
  #ended: OrtFailure | undefined;

  constructor(work: OrtWorkerData, { ownProcess = false, signal }: HostOptions = {}) {
    this.#host = ownProcess ? startOrtProcess(work, signal) : startThread(work);
    this.#host.on('message', (reply: ProcessReply) => {
      if (reply.kind === 'ended') noteChildPeak(reply.peakBytes);
      else this.#waiting.shift()?.(reply);
    });
    // The listener stays: the next run reports a crash between runs.
    this.#host.on('error', (error) => this.#end('crash', String(error), exhausted(error)));
    const ended = this.#host instanceof Worker ? endOfThread(this.#host) : endOf(this.#host);
    this.#exit = ended.then((how) => this.#end(this.#isClosing ? 'closed' : 'crash', `it ended with ${how}`));
  }

  nextReply(): Promise<OrtReply> {
    const { promise, resolve } = Promise.withResolvers<OrtReply>();
    if (this.#ended === undefined) this.#waiting.push(resolve);
    else resolve(this.#ended);
    return promise;
  }

  /** Buffers of feeds move to a thread. */
  ask(request: OrtRequest): Promise<OrtReply> {
    this.#send(request);
    return this.nextReply();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#send({ kind: 'close' });
    await this.#exit;
  }

  #send(request: OrtRequest): void {
    if (!(this.#host instanceof Worker))
      return void (this.#host.connected && this.#host.send(request, () => {}));
    // as: no tensor is in a shared buffer
    const moved =
      request.kind === 'run' ? request.feeds.map(([, { data }]) => data.buffer as ArrayBuffer) : [];
    this.#host.postMessage(request, moved);
  }

  #end(at: OrtFailure['at'], message: string, known?: SdConvertError): void {
    this.#ended ??= { kind: 'failed', at, message, error: known && carried(known) };
    for (const resolve of this.#waiting.splice(0)) resolve(this.#ended);
  }
}

function startThread(workerData: OrtWorkerData): Worker {
  return new Worker(scriptBeside('ort-worker', import.meta.url), { workerData, env: SHARE_ENV });
}

/** How a thread ended. Not events.once, which rejects when it fails first. */
function endOfThread(thread: Worker): Promise<string> {
  return new Promise((done) => thread.once('exit', (code) => done(`exit code ${code}`)));
}

function startOrtProcess(work: OrtWorkerData, signal: AbortSignal | undefined): ChildProcess {
  const child = startProcess(scriptBeside('ort-process-worker', import.meta.url), {
    env: { ...process.env, ...RETURNING },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    ...(signal && { signal, killSignal: 'SIGKILL' as const }),
  });
  // One that did not start says so in an event, and may have no channel.
  if (child.connected) child.send(work as object, () => {});
  return child;
}

/**
 * glibc then returns every block of 4 MB and more when it is freed. Left to itself, it moves this threshold up to 32 MB, and keeps
 * 600 MB of a UNet's values.
 */
const RETURNING = { MALLOC_MMAP_THRESHOLD_: '4000000' };
