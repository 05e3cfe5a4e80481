import { cpus } from 'node:os';
import type { Context } from '../../context.ts';
import { peakMemory } from '../../io/peak-memory.ts';
import { fileTraffic } from '../../io/traffic.ts';
import type { Card } from '../../report/card.ts';
import { count } from '../../text.ts';

/** Notes how long the stages of a context take, and what the process reads, writes and keeps in memory meanwhile. */
export class Stopwatch {
  readonly context: Context;
  readonly #stages: { readonly name: string; readonly seconds: number }[] = [];
  readonly #before = fileTraffic();

  constructor({ onProgress, signal }: Context) {
    this.context = {
      ...(signal && { signal }),
      onProgress: (event) => {
        if (event.type === 'stage' && event.state === 'finished')
          this.#stages.push({ name: event.stage, seconds: event.seconds });
        onProgress?.(event);
      },
    };
  }

  /** The stages that have ended. */
  get stages(): Card['cost']['report'] {
    return [...this.#stages];
  }

  /** What it cost so far. */
  cost(): Omit<Card['cost'], 'bytes' | 'conversion'> {
    const { read, written } = fileTraffic();
    const [cpu] = cpus();
    return {
      report: this.stages,
      peakBytes: peakMemory(),
      read: read - this.#before.read,
      written: written - this.#before.written,
      machine: `${cpu?.model ?? 'unknown processor'}, ${count(cpus().length, 'core')}, Node ${process.version}`,
    };
  }
}
