import { tmpdir } from 'node:os';
import type { Context } from '../context.ts';
import { DiskSpaceError, RequestError } from '../errors.ts';
import type { TensorMap } from '../formats/runner.ts';
import { freeBytes } from '../io/disk.ts';
import { openScratch, type Scratch } from '../io/stages/scratch.ts';
import type { RunnableChain } from '../run/chain.ts';
import { runInParts } from '../run/run-in-parts.ts';
import { peakBytes, planRun, type RunPlan } from '../run/run-plan.ts';
import { productsPerSecond } from '../run/speed.ts';
import { aboutTime, count, formatBytes } from '../text.ts';

/** Memory and place of runs. */
export interface RunBounds {
  /** Memory that a run may take, in bytes; when left out, 2 GB where that is enough, else as little as it can. */
  readonly maxMemoryBytes?: number | undefined;
  /** Folder for temporary files; the system's when left out. */
  readonly tmpDir?: string | undefined;
}

/** Limit in bytes that is aimed at where none is given. */
export const DEFAULT_MAX_BYTES = 2e9;

/** A planned run, and what it computes: `the float32 reference`. */
export interface NamedRun {
  readonly what: string;
  readonly plan: RunPlan;
}

/** Runs models in a limited memory, one at a time, and tells the caller how far they are. */
export class BoundedRuns {
  readonly #bounds: RunBounds;
  readonly #scratch: Scratch;
  readonly #context: Context;

  private constructor(bounds: RunBounds, scratch: Scratch, context: Context) {
    this.#bounds = bounds;
    this.#scratch = scratch;
    this.#context = context;
  }

  /** Makes a place for temporary files, which `close` removes. Throws `NotFoundError` where `tmpDir` is none. */
  static async open(bounds: RunBounds, context: Context): Promise<BoundedRuns> {
    return new BoundedRuns(bounds, await openScratch(bounds.tmpDir), context);
  }

  /**
   * Plans to run a model on cases of inputs. Throws `RequestError` where it takes more memory than may be taken,
   * `DiskSpaceError` where there is no room for its temporary files, and what loading it throws.
   */
  async plan(chain: RunnableChain, cases: readonly TensorMap[]): Promise<RunPlan> {
    const { maxMemoryBytes } = this.#bounds;
    const limit = maxMemoryBytes ?? DEFAULT_MAX_BYTES;
    const plan = await planRun(chain, cases, limit, this.#scratch, this.#context.signal);
    if (maxMemoryBytes !== undefined && plan.bytes > maxMemoryBytes) throw tooLarge(plan, maxMemoryBytes);
    const free = await freeBytes(this.#scratch.path);
    if (plan.temporaryBytes > free) throw noRoom(plan, free, this.#bounds.tmpDir ?? tmpdir());
    return plan;
  }

  /** Tells what runs that belong together will take, where it is more than a moment. */
  async announce(model: string, runs: readonly NamedRun[]): Promise<void> {
    const { onProgress } = this.#context;
    const products = runs.reduce((sum, { plan }) => sum + plan.products, 0);
    const inParts = runs.filter(({ plan }) => plan.parts.length > 1);
    if (inParts.length === 0 && products < MOMENT) return;
    const bytes = Math.max(...runs.map(({ plan }) => plan.bytes));
    const time = aboutTime(products / (await productsPerSecond()));
    const parts = inParts.map(
      ({ what, plan }) => `${what} in ${count(plan.parts.length, 'part')}${rowByRow(plan)}`,
    );
    const message = `${model} takes about ${time} and ${formatBytes(bytes)} of memory${parts.length > 0 ? `: ${parts.join(', ')}` : ''}.`;
    onProgress?.({ type: 'note', message });
    const free = process.availableMemory();
    if (bytes > free)
      onProgress?.({
        type: 'note',
        message: `only ${formatBytes(free)} of memory are free: the system may end the check. Close other programs, or pass a smaller --max-memory.`,
      });
  }

  /** Runs a model as planned; `progress` gets what is run, which part, and how long it will still take. */
  async run({ what, plan }: NamedRun, progress: (text: string) => void = () => {}): Promise<TensorMap[]> {
    const start = performance.now();
    return runInParts(plan, this.#scratch, {
      signal: this.#context.signal,
      onPart(part, share) {
        if (plan.parts.length === 1) return progress(what);
        const seconds = (performance.now() - start) / 1000;
        const left = share > 0 ? `, about ${aboutTime((seconds / share) * (1 - share))} left` : '';
        progress(`${what}, part ${part + 1} of ${plan.parts.length}${left}`);
      },
    });
  }

  async close(): Promise<void> {
    await this.#scratch.close();
  }
}

/** Products of elements that a machine of today adds up in about ten seconds. */
const MOMENT = 5e11;

function rowByRow({ rows }: RunPlan): string {
  return rows > 1 ? `, its ${rows} rows one after another` : '';
}

function tooLarge({ chain, bytes }: RunPlan, limit: number): RequestError {
  const processes = peakBytes(0);
  const why =
    limit > processes
      ? 'one of its operations alone takes more'
      : `the processes that run it take ${formatBytes(processes)} themselves`;
  return new RequestError({
    problem: `${chain.path} cannot be run in ${formatBytes(limit)} of memory: ${why}.`,
    details: { needed: formatBytes(bytes) },
    advice: `Pass --max-memory ${Math.ceil(bytes / 1e8) / 10}GB, or leave it out.`,
  });
}

function noRoom({ temporaryBytes }: RunPlan, free: number, folder: string): DiskSpaceError {
  return new DiskSpaceError({
    problem: `there is no room for temporary files: ${formatBytes(temporaryBytes)} are needed, ${formatBytes(free)} are free.`,
    details: { 'temporary folder': folder },
    advice: 'Free some space, or name a folder on another disk with --tmp-dir.',
  });
}
