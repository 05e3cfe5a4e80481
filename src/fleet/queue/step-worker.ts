import { join } from 'node:path';
import type { SandboxedJob } from 'bullmq';
import { modelsOnHub } from '../../checkpoint/from-hub/locate-models.ts';
import type { Context } from '../../context.ts';
import {
  DiskSpaceError,
  DownloadError,
  InterruptedError,
  SdConvertError,
  UploadError,
} from '../../errors.ts';
import { withFetch } from '../../hub/hub-options.ts';
import { readText } from '../../io/disk.ts';
import { version } from '../../version.ts';
import { connectTo } from './connection.ts';
import { readStepJob, versionOfJob } from './read-step-job.ts';
import { runStep, type StepResult } from './run-step.ts';
import type { StepJob } from './step-job.ts';
import { SITE_FILE, type StepProgress, type StepSite } from './step-site.ts';
import { takeTurn } from './turns.ts';

/**
 * Runs in a process of its own, which BullMQ starts for a worker: the worker renews its lock on the job however long this one
 * computes. Its folder is the worker's own.
 */

/** Failures that may pass, here or on another worker. */
const passing = [DownloadError, UploadError, DiskSpaceError, InterruptedError];

/** Milliseconds between two words on how far a step is. */
const PACE = 1_000;

/** After which a job that this worker does not run is offered again, in milliseconds. */
const NEXT_OFFER = 5_000;

// Another worker has the job as soon as the worker of this process is gone: not one more byte is written.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Node would open its inspector, with which anybody on the machine could run code in this process.
process.on('SIGUSR1', () => {});

type Job = SandboxedJob<StepJob, StepResult>;

async function runJob(job: Job, token?: string): Promise<StepResult> {
  const found = understood(job);
  if (!found) {
    await job.updateProgress({ refused: true } satisfies StepProgress);
    return giveBack(job, NEXT_OFFER, token);
  }
  const { step, job: data } = found;
  const site = await readSite();
  if (step === 'fetch' && (await modelsOnHub(data.item.models)).length > 0) {
    const wait = await turnOf(site);
    if (wait > 0) await giveBack(job, wait, token);
  }
  try {
    return await runStep(step, data, site, contextOf(job));
  } catch (error) {
    throw forQueue(error);
  }
}

/** What a job says; `undefined` for one of another version. */
function understood(job: Job): ReturnType<typeof readStepJob> | undefined {
  try {
    return versionOfJob(job) === version ? readStepJob(job) : undefined;
  } catch (error) {
    throw forQueue(error);
  }
}

// biome-ignore lint/style/noDefaultExport: BullMQ runs the default export.
export default runJob;

/** The worker's settings; a function in them did not survive the way. */
async function readSite(): Promise<StepSite> {
  // as: the worker wrote it.
  const site = JSON.parse(await readText(join(process.cwd(), SITE_FILE))) as StepSite;
  return { ...site, hub: withFetch(site.hub) };
}

async function turnOf({ queue, hubRate }: StepSite): Promise<number> {
  const redis = await connectTo(queue, { lasting: false });
  try {
    return await takeTurn(redis, hubRate);
  } finally {
    redis.disconnect();
  }
}

/** Has the job offered again later, as if it had not been taken; never returns. */
async function giveBack(job: Job, milliseconds: number, token: string | undefined): Promise<never> {
  await job.moveToDelayed(Date.now() + milliseconds, token);
  throw named('DelayedError', 'given back');
}

/** An error as BullMQ takes it: one that no further attempt can change is not tried again. */
function forQueue(error: unknown): Error {
  const cause = error instanceof Error ? error : new Error(String(error));
  const isFinal = error instanceof SdConvertError && !passing.some((Kind) => error instanceof Kind);
  return isFinal ? named('UnrecoverableError', cause.message) : cause;
}

/** BullMQ knows its errors from other processes by their names. */
function named(name: string, message: string): Error {
  return Object.assign(new Error(message), { name });
}

function contextOf(job: Job): Context {
  let told = 0;
  return {
    onProgress(event) {
      if (event.type !== 'progress' || performance.now() - told < PACE) return;
      told = performance.now();
      const { stage, done, total, unit } = event;
      void job.updateProgress({ stage, done, total, unit } satisfies StepProgress).catch(() => {});
    },
  };
}
