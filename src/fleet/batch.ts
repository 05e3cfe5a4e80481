import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { type OptionsOf, withDefaults } from '../commands/options.ts';
import { type Context, inStage, type ProgressEvent, throwIfInterrupted } from '../context.ts';
import { InterruptedError } from '../errors.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import { type HubOptions, ownHubOptions } from '../hub/hub-options.ts';
import { type CarriedError, carried } from '../io/carried-error.ts';
import { checkCall, text } from '../io/check-call.ts';
import { exists, freeBytes } from '../io/disk.ts';
import { count, formatBytes } from '../text.ts';
import { type Decibels, finishedResult, isMeasured } from './finished.ts';
import { Identities } from './identities.ts';
import type { IdentifiedItem, Item } from './item.ts';
import { HASHES_FILE, KnownHashes } from './known-hashes.ts';
import { planItems } from './plan-items.ts';
import { readManifest } from './read-manifest.ts';
import { Room } from './room.ts';
import { type Outcome, runItem } from './run-item.ts';
import { lowest, verdictOf } from './verdict.ts';
import { countBad, type ItemVerdict } from './verdict-words.ts';

/** The manifest to convert, and how much at once. */
export interface BatchRequest {
  /** Path of the manifest. */
  readonly manifest: string;
  /** Most items at once; fewer where memory or disk are short. */
  readonly jobs: number;
  /** Memory in bytes that all conversions together may take; what is free at the start when left out. */
  readonly maxMemoryBytes?: number | undefined;
  /** Whether results that were made in another way are replaced. */
  readonly force: boolean;
  /** Where the Hub and its cache are; the public Hub and the usual cache when left out. */
  readonly hub?: HubOptions | undefined;
}

/** Defaults of `batch`. A conversion and its hashing and checking keep two cores busy. */
export const batchDefaults = {
  jobs: Math.max(1, Math.floor(availableParallelism() / 2)),
  force: false,
} satisfies Partial<BatchRequest>;

/** Options of `batch`; only `manifest` is required. */
export type BatchOptions = OptionsOf<BatchRequest, typeof batchDefaults>;

/** What came of an item. */
export interface ItemResult {
  /** `dreamshaper/palette-6`. */
  readonly item: string;
  readonly verdict: ItemVerdict;
  /** Folder of the results. */
  readonly output: string;
  /** Whether it was there already. */
  readonly reused: boolean;
  /** Of the item's own work, without waiting for room; 0 where it was there. */
  readonly seconds: number;
  /** Bytes of the item's files; 0 for one that failed. */
  readonly bytes: number;
  /** Most memory that its process had at once, with the largest of those that computed for it; absent where it needed none. */
  readonly memoryBytes?: number | undefined;
  /** Lowest PSNR in dB of its models; absent where it was not measured. */
  readonly psnr?: Decibels | undefined;
  /** Lowest PSNR in dB that passes; absent without one. */
  readonly floor?: number | undefined;
  readonly notes: readonly string[];
  /** Why it failed. */
  readonly error?: CarriedError | undefined;
}

/**
 * Converts the items of a manifest, several at once, each in a process of its own; items that are finished are left as they
 * are. An item that fails stops no other. Gives the results in the order of the manifest. Throws as `readManifest` and `planItems`
 * do, `requireOnnxruntime` where items are compared, and `InterruptedError`.
 *
 * @example await batch({ manifest: 'batch.yaml', jobs: 2 }) // [{ item: 'dreamshaper/float16', verdict: 'pass', psnr: 63.81, … }, …]
 */
export async function batch(options: BatchOptions, context: Context = {}): Promise<ItemResult[]> {
  checkCall('batch', z.looseObject({ manifest: text, jobs: z.int().min(1).optional() }), options);
  const request = withDefaults<BatchRequest, typeof batchDefaults>(batchDefaults, options);
  const { output, items } = await planItems(await readManifest(request.manifest));
  if (items.some(({ reference }) => reference !== undefined)) await requireOnnxruntime();
  return inStage(STAGE, context, async () => {
    const hashes = await KnownHashes.open(join(output, HASHES_FILE));
    try {
      const hub = request.hub ?? (await ownHubOptions());
      const results = await new Batch({ ...request, hub }, output, items, hashes, context).run();
      return { output: results, detail: counted(results) };
    } finally {
      if (await exists(output)) await hashes.save(context);
    }
  });
}

const STAGE = 'batch';

/** A request whose Hub is known. */
type Settled = BatchRequest & { readonly hub: HubOptions };

/** Items on their way. */
class Batch {
  readonly #request: Settled;
  readonly #items: readonly Item[];
  readonly #identities: Identities;
  readonly #room: Room;
  readonly #context: Context;
  #done = 0;

  constructor(
    request: Settled,
    output: string,
    items: readonly Item[],
    hashes: KnownHashes,
    context: Context,
  ) {
    this.#request = request;
    this.#items = items;
    this.#context = context;
    this.#identities = new Identities(request.hub, hashes, context);
    this.#room = new Room({
      memoryBytes: request.maxMemoryBytes ?? process.availableMemory(),
      freeDiskBytes: () => freeBytes(output),
    });
  }

  /** Runs all items; those that are left when the caller stops are not begun. */
  async run(): Promise<ItemResult[]> {
    const { signal } = this.#context;
    const results: ItemResult[] = [];
    const left = this.#items.entries();
    const work = async (): Promise<void> => {
      for (const [index, item] of left) {
        if (signal?.aborted) return;
        results[index] = await this.#result(item);
        this.#done++;
      }
    };
    // All processes have ended before anything is said of the end.
    const ends = await Promise.allSettled(Array.from({ length: this.#request.jobs }, work));
    throwIfInterrupted(signal);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    return results;
  }

  /** Runs an item, whatever comes of it. */
  async #result(item: Item): Promise<ItemResult> {
    const notes: string[] = [];
    const start = performance.now();
    const base = { item: item.name, output: item.output, floor: item.floor, notes };
    this.#tell({ type: 'stage', stage: item.name, state: 'started' });
    try {
      this.#progress(item, 'identifying');
      const identified = await this.#identities.identify(item);
      const { reused, quality, seconds, ...took } =
        (await this.#finished(identified)) ?? (await this.#run(identified, notes));
      const result = {
        ...base,
        ...took,
        reused,
        seconds,
        psnr: lowest(quality),
        verdict: verdictOf(item, quality),
      };
      this.#tell({ type: 'stage', stage: item.name, state: 'finished', detail: detailOf(result), seconds });
      return result;
    } catch (error) {
      if (error instanceof InterruptedError && this.#context.signal?.aborted) throw error;
      const parts = carried(error);
      this.#tell({ type: 'note', message: `${item.name} failed: ${parts.problem}` });
      const seconds = (performance.now() - start) / 1000;
      return { ...base, verdict: 'failed', reused: false, seconds, bytes: 0, error: parts };
    }
  }

  /** An item that is there, and measured if it is to be. */
  async #finished(item: IdentifiedItem) {
    const found = await finishedResult(item);
    return found && isMeasured(item, found) ? { ...found, reused: true, seconds: 0 } : undefined;
  }

  async #run(item: IdentifiedItem, notes: string[]): Promise<Outcome & { readonly reused: false }> {
    const { force, hub } = this.#request;
    const { signal } = this.#context;
    const { fetch: _, wait: __, ...carriedHub } = hub; // functions stay in their process
    const who = {};
    try {
      const outcome = await runItem(
        item,
        { hub: carriedHub, force },
        {
          ...(signal && { signal }),
          admit: (need) => this.#room.enter(who, need),
          onProgress: (event) => {
            if (event.type === 'note' && !notes.includes(event.message)) notes.push(event.message);
            if (event.type === 'progress') this.#progress(item, `${event.stage} ${event.what}`);
          },
        },
      );
      return { ...outcome, reused: false };
    } finally {
      this.#room.leave(who);
    }
  }

  #progress({ name }: Item, what: string): void {
    const [done, total] = [this.#done, this.#items.length];
    this.#tell({ type: 'progress', stage: STAGE, what: `${name}: ${what}`, done, total });
  }

  #tell(event: ProgressEvent): void {
    this.#context.onProgress?.(event);
  }
}

function detailOf({
  bytes,
  psnr,
  verdict,
  reused,
}: Pick<ItemResult, 'bytes' | 'psnr' | 'verdict' | 'reused'>): string {
  return [
    ...(reused ? ['there already'] : []),
    formatBytes(bytes),
    ...(psnr === undefined ? [] : [`${psnr} dB`]),
    ...(verdict === 'below the floor' ? [verdict] : []),
  ].join(', ');
}

/** `100 items, 90 there already, 1 below the floor, 1 failed`. */
function counted(results: readonly ItemResult[]): string {
  const reused = results.filter((each) => each.reused).length;
  return [
    count(results.length, 'item'),
    ...(reused > 0 ? [`${reused} there already`] : []),
    ...countBad(results.map(({ verdict }) => verdict)),
  ].join(', ');
}
