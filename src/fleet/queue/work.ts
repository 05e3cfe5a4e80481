import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'bullmq';
import { z } from 'zod';
import { type OptionsOf, withDefaults } from '../../commands/options.ts';
import type { Context } from '../../context.ts';
import { requireOnnxruntime } from '../../formats/onnx/run/onnx-session.ts';
import { type HubOptions, ownHubOptions } from '../../hub/hub-options.ts';
import { checkCall, text } from '../../io/check-call.ts';
import { writeText } from '../../io/disk.ts';
import { scriptBeside } from '../../io/script-beside.ts';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import { formatBytes } from '../../text.ts';
import type { RunBounds } from '../../validate/bounded-runs.ts';
import type { StoreOptions } from '../store/open-store.ts';
import { connectTo, loadBullMq, withoutPassword } from './connection.ts';
import { ofAnotherVersion, refuseOtherVersion } from './other-version.ts';
import { jobTitle } from './read-step-job.ts';
import type { StepResult } from './run-step.ts';
import { QUEUE, type QueueStep, type StepJob } from './step-job.ts';
import { asStrangeJob, openQueue, type StepQueueJob } from './step-queue.ts';
import { SITE_FILE, type StageProgress, type StepProgress, type StepSite } from './step-site.ts';
import { WorkerFolder } from './worker-folder.ts';

/** The queue to work for, and what the worker may take of its machine. */
export interface WorkRequest extends RunBounds {
  /** `redis://HOST:PORT`. */
  readonly queue: string;
  /** Bytes that downloads and unfinished results may take on the disk; any number when left out. */
  readonly maxDiskBytes?: number | undefined;
  /** Sources that all workers together may begin to fetch from the Hub in a minute. */
  readonly hubRate: number;
  readonly hub?: HubOptions | undefined;
  readonly store: StoreOptions;
}

/** Defaults of `work`. */
export const workDefaults = { hubRate: 20, store: {} } as const satisfies Partial<WorkRequest>;

/** Options of `work`; `queue` is required. */
export type WorkOptions = OptionsOf<WorkRequest, typeof workDefaults>;

/** What a worker did. */
export interface WorkResult {
  /** Steps that were done. */
  readonly done: number;
  /** Attempts at steps that failed. */
  readonly failed: number;
}

/**
 * For how long a step stays with a worker that is not heard of, and how often that is looked for, in milliseconds: the step of a
 * killed worker is offered again after at most half a minute.
 */
const LOCK = 20_000;
const LOOK = 5_000;

/** How often a step may lose its worker before it counts as what kills them. */
const MOST_LOST = 10;

type StepWorker = Worker<StepJob, StepResult, QueueStep>;

/**
 * Does steps of a queue's jobs, one at a time, each in a process of its own, until the signal aborts; the step that runs then is
 * finished first. What the worker wrote to its own disk goes with it. Throws `RequestError` where the queue holds jobs of
 * another version, `NotFoundError` where there is no queue or what it needs is not installed.
 */
export async function work(options: WorkOptions, context: Context = {}): Promise<WorkResult> {
  checkCall('work', z.looseObject({ queue: text, hubRate: z.int().min(1).optional() }), options);
  const request = withDefaults<WorkRequest, typeof workDefaults>(workDefaults, options);
  await requireOnnxruntime(); // any step may be a check
  const redis = await connectTo(request.queue, { lasting: true });
  const folder = await makeTemporaryFolder(request.tmpDir ?? tmpdir());
  try {
    const { Worker } = await loadBullMq();
    await refuseOtherVersion(await openQueue(redis), request.queue);
    await writeText(join(folder.path, SITE_FILE), JSON.stringify(await siteOf(request, folder.path)));
    const worker: StepWorker = new Worker(QUEUE, scriptBeside('step-worker', import.meta.url), {
      connection: redis,
      concurrency: 1,
      autorun: false,
      lockDuration: LOCK,
      stalledInterval: LOOK,
      maxStalledCount: MOST_LOST,
      workerForkOptions: { cwd: folder.path },
    });
    return await runUntilStopped(worker, request, context);
  } finally {
    redis.disconnect();
    await folder.remove();
  }
}

async function siteOf(request: WorkRequest, folder: string): Promise<StepSite> {
  const { maxDiskBytes, maxMemoryBytes, queue, hubRate, store } = request;
  const hub = request.hub ?? (await ownHubOptions());
  // What counts must be the worker's own.
  const cacheDir = maxDiskBytes === undefined ? hub.cacheDir : WorkerFolder.cacheIn(folder);
  return {
    queue,
    hubRate,
    store,
    folder,
    maxDiskBytes,
    maxMemoryBytes,
    tmpDir: folder,
    hub: { ...hub, cacheDir },
  };
}

async function runUntilStopped(
  worker: StepWorker,
  { queue }: WorkRequest,
  context: Context,
): Promise<WorkResult> {
  const { signal = new AbortController().signal } = context;
  const refused = new AbortController();
  const result = { done: 0, failed: 0 };
  const note = (message: string): void => context.onProgress?.({ type: 'note', message });
  const progress = (job: StepQueueJob, { stage, done, total, unit }: StageProgress): void => {
    const what = `${jobTitle(job)}${stage === undefined ? '' : `: ${stage}`}`;
    context.onProgress?.({ type: 'progress', stage: 'work', what, done, total, ...(unit && { unit }) });
  };
  const complaints = new Set<string>();
  worker
    .on('active', (job) => progress(job, { done: 0, total: 1 }))
    .on('completed', (job, returned) => {
      result.done++;
      note(`${described(job, returned)}.`);
    })
    .on('failed', (job, error) => {
      result.failed++;
      if (job) note(`${jobTitle(job)} failed: ${error.message}`);
    })
    .on('progress', (job, data) => {
      // as: our own process told it.
      const told = data as StepProgress;
      if ('refused' in told) return refused.abort(ofAnotherVersion(queue, job.data.version));
      progress(job, told);
    })
    // A Redis that goes away says so with every attempt to find it.
    .on('error', (error) => {
      const told = asStrangeJob(error);
      const { message } = told instanceof Error ? told : error;
      if (!complaints.has(message)) note(`the queue: ${message}`);
      complaints.add(message);
    });
  const stop = AbortSignal.any([signal, refused.signal]);
  note(`waiting for jobs at ${withoutPassword(queue)}.`);
  try {
    if (!stop.aborted) await Promise.race([once(stop, 'abort'), worker.run()]);
  } finally {
    await worker.close();
  }
  refused.signal.throwIfAborted();
  return result;
}

function described(job: StepQueueJob, { bytes, psnr, verdict, published }: StepResult): string {
  const facts = [
    bytes === undefined ? undefined : formatBytes(bytes),
    psnr === undefined ? undefined : `${psnr} dB`,
    verdict,
    published && `published in ${published}`,
  ].filter((fact) => fact !== undefined);
  return `${jobTitle(job)}${facts.length > 0 ? `: ${facts.join(', ')}` : ''}`;
}
