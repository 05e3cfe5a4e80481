import { type TransferListItem, Worker } from 'node:worker_threads';
import { scriptBeside } from './script-beside.ts';

/** Largest heap of a thread that only computes on arrays, in MB. */
const limits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 };

/**
 * A thread that answers questions one after another. It starts with the first question, and keeps the process alive only while
 * somebody waits for an answer. Its script posts one message for each that it receives.
 */
export class Thread<Question, Answer> {
  readonly #script: URL;
  readonly #waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = [];
  #worker: Worker | undefined;

  /** The script's name, and the `import.meta.url` of a file beside it: see `scriptBeside`. */
  constructor(script: string, from: string) {
    this.#script = scriptBeside(script, from);
  }

  /** Number of questions without an answer yet. */
  get pending(): number {
    return this.#waiting.length;
  }

  /** Asks a question; `transfer` is handed over, not copied. Throws what ended the thread, which starts again with the next one. */
  ask(question: Question, transfer: readonly TransferListItem[] = []): Promise<Answer> {
    const worker = this.#worker ?? this.#start();
    worker.ref();
    worker.postMessage(question, transfer);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #start(): Worker {
    const worker = new Worker(this.#script, { resourceLimits: limits });
    worker.on('message', (answer: Answer) => {
      this.#waiting.shift()?.resolve(answer);
      if (this.#waiting.length === 0) worker.unref();
    });
    worker.on('error', (error: Error) => {
      this.#worker = undefined;
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
    this.#worker = worker;
    return worker;
  }
}
