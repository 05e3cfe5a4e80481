import { join } from 'node:path';
import type { FlowProducer, Queue } from 'bullmq';
import { z } from 'zod';
import { type OptionsOf, withDefaults } from '../../commands/options.ts';
import { type Context, inStage, throwIfInterrupted } from '../../context.ts';
import { RequestError } from '../../errors.ts';
import { type HubOptions, ownHubOptions } from '../../hub/hub-options.ts';
import { checkCall, text } from '../../io/check-call.ts';
import { exists } from '../../io/disk.ts';
import { count } from '../../text.ts';
import { version } from '../../version.ts';
import { Identities } from '../identities.ts';
import type { Item } from '../item.ts';
import { HASHES_FILE, KnownHashes } from '../known-hashes.ts';
import { planItems } from '../plan-items.ts';
import { readManifest } from '../read-manifest.ts';
import { isService, storeAddress } from '../store/open-store.ts';
import { verdictAt } from '../verdict.ts';
import { connectTo, loadBullMq } from './connection.ts';
import { refuseOtherVersion } from './other-version.ts';
import { publishTarget } from './publish-target.ts';
import type { StepResult } from './run-step.ts';
import {
  flowOf,
  jobIdOf,
  lastStepOf,
  placeOf,
  QUEUE,
  type QueueStep,
  type StepJob,
  stepsOf,
} from './step-job.ts';

/** The manifest to submit, and where to. */
export interface SubmitRequest {
  /** Path of a manifest. */
  readonly manifest: string;
  /** `redis://HOST:PORT`. */
  readonly queue: string;
  /** The store of the results: a folder that all workers see, or `s3://bucket/prefix`; the manifest's `output` when left out. */
  readonly results?: string | undefined;
  /** `org/name` or `org/{item}` on the Hub, for items that reach their floors; nothing is published when left out. */
  readonly publish?: string | undefined;
  /** Whether items that are done are queued again; what is in the store is found there, and made again only once it is removed. */
  readonly force: boolean;
  readonly hub?: HubOptions | undefined;
}

/** Defaults of `submit`. */
export const submitDefaults = { force: false } as const satisfies Partial<SubmitRequest>;

/** Options of `submit`; `manifest` and `queue` are required. */
export type SubmitOptions = OptionsOf<SubmitRequest, typeof submitDefaults>;

/** What became of an item that was submitted. */
export interface SubmittedItem {
  readonly item: string;
  readonly id: string;
  /** `new`; `waiting` for what is in the queue already; `done`, with its result; `again` for what had failed. */
  readonly state: 'new' | 'waiting' | 'done' | 'again';
  /** Where its result is, or will be: its folder in the store. */
  readonly place: string;
  readonly result?: StepResult | undefined;
}

/** Flows that are added in one request. */
const BULK = 200;

/**
 * Submits the items of a manifest to a queue. The same models, options and version are one job: where it is done its result
 * is the answer, where it failed it is tried again. Throws `RequestError` for an item without a floor that is to be published, for
 * two items that are one job, and where the queue holds jobs of another version, `NotFoundError` where there is no queue, and what reading the manifest, asking
 * the Hub and hashing files throw.
 */
export async function submit(options: SubmitOptions, context: Context = {}): Promise<SubmittedItem[]> {
  checkCall('submit', z.looseObject({ manifest: text, queue: text, results: text.optional() }), options);
  const request = withDefaults<SubmitRequest, typeof submitDefaults>(submitDefaults, options);
  const redis = await connectTo(request.queue, { lasting: false });
  try {
    const { FlowProducer, Queue } = await loadBullMq();
    const queue = new Queue<StepJob, StepResult, QueueStep>(QUEUE, { connection: redis });
    await refuseOtherVersion(queue, request.queue);
    const jobs = await plannedJobs(request, context);
    return await inStage('submit', context, async () => {
      const output = await addAll(
        jobs,
        { queue, flows: new FlowProducer({ connection: redis }), request },
        context,
      );
      const isNew = output.filter(({ state }) => state === 'new').length;
      return { output, detail: `${count(isNew, 'new item')} of ${output.length}` };
    });
  } finally {
    redis.disconnect();
  }
}

/** The jobs of a manifest's items, with all that can be wrong with them found before anything is added. */
async function plannedJobs(
  { manifest, results, publish, hub }: SubmitRequest,
  context: Context,
): Promise<StepJob[]> {
  const { output, items } = await planItems(await readManifest(manifest));
  if (publish !== undefined) for (const item of items) refuseWithoutFloor(item);
  const address = storeAddress(results ?? output);
  const hashes = await KnownHashes.open(isService(address) ? undefined : join(address, HASHES_FILE));
  const identities = new Identities(hub ?? (await ownHubOptions()), hashes, context);
  return inStage('identify', context, async () => {
    const jobs: StepJob[] = [];
    for (const [index, item] of items.entries()) {
      throwIfInterrupted(context.signal);
      const identified = await identities.identify(item);
      const target = publish === undefined ? {} : { publish: publishTarget(publish, item.name) };
      const contents = await identities.contentsOf(identified);
      jobs.push({ version, item: identified, contents, results: address, ...target });
      const [done, total] = [index + 1, items.length];
      context.onProgress?.({ type: 'progress', stage: 'identify', what: item.name, done, total });
    }
    if (await exists(address)) await hashes.save(context);
    refuseTwins(jobs);
    return { output: jobs, detail: count(jobs.length, 'item') };
  });
}

interface Adding {
  readonly queue: Queue<StepJob, StepResult, QueueStep>;
  readonly flows: FlowProducer;
  readonly request: SubmitRequest;
}

async function addAll(jobs: readonly StepJob[], adding: Adding, context: Context): Promise<SubmittedItem[]> {
  await dropSuperseded(jobs, adding);
  const submitted: SubmittedItem[] = [];
  for (let at = 0; at < jobs.length; at += BULK) {
    throwIfInterrupted(context.signal);
    const bulk = jobs.slice(at, at + BULK);
    const found = await Promise.all(bulk.map((job) => findJob(job, adding)));
    await adding.flows.addBulk(bulk.filter((_, index) => found[index]?.state === 'new').map(flowOf));
    submitted.push(...found);
  }
  return submitted;
}

/** Removes items that failed and whose place is now another one's: their checkpoint or their options were changed since. */
async function dropSuperseded(jobs: readonly StepJob[], { queue }: Adding): Promise<void> {
  const ids = new Map(jobs.map((job) => [placeOf(job), job.item.id]));
  for (const failed of await queue.getJobs(['failed'], 0, -1)) {
    const { item } = failed.data;
    const id = ids.get(placeOf(failed.data));
    if (id === undefined || id === item.id) continue;
    const last = await queue.getJob(jobIdOf(item, lastStepOf(failed.data)));
    await (last ?? failed).remove(); // with the steps before it
  }
}

/** What the queue knows of an item. Throws `RequestError` where its result is not the one that is asked for now. */
async function findJob(job: StepJob, { queue, request }: Adding): Promise<SubmittedItem> {
  const { item } = job;
  const row = { item: item.name, id: item.id, place: placeOf(job) };
  const found = await Promise.all(stepsOf(job).map((step) => queue.getJob(jobIdOf(item, step))));
  const last = found.at(-1);
  if (last && (await last.isCompleted())) {
    if (!request.force) refuseOtherResult(job, last.data);
    // A floor is not of the id: the result is judged by the one that the manifest has now.
    const { floor } = item;
    const result = { ...last.returnvalue, verdict: verdictAt(floor, last.returnvalue.psnr) };
    const isUnpublished = job.publish && result.verdict === 'pass' && result.published === undefined;
    if (request.force || isUnpublished) {
      await last.remove();
      return { ...row, state: 'new' };
    }
    await last.updateData({ ...last.data, item: { ...last.data.item, floor } });
    return { ...row, state: 'done', result };
  }
  for (const each of found) {
    if (!each || !(await each.isFailed())) continue;
    await each.retry('failed', { resetAttemptsMade: true });
    return { ...row, state: 'again' };
  }
  return last ? { ...row, state: 'waiting', place: placeOf(last.data) } : { ...row, state: 'new' };
}

/** Throws `RequestError` for an item that is done in another place, or was compared with something else. */
function refuseOtherResult(job: StepJob, done: StepJob): void {
  const advice = 'Copy it from there, or pass --force to make it again here.';
  const { name, referenceIdentity, reference } = job.item;
  if (placeOf(done) !== placeOf(job))
    throw new RequestError({
      problem: `${name} is done already, and its result is not in ${placeOf(job)} but in ${placeOf(done)}.`,
      advice,
    });
  if (referenceIdentity !== undefined && referenceIdentity !== done.item.referenceIdentity)
    throw new RequestError({
      problem: `${name} is done already, and was not compared with ${reference}.`,
      advice: `Remove ${placeOf(done)} and pass --force, which makes and measures it again, or pass --force with another --results.`,
    });
}

/** Throws `RequestError` for two items with one id, whose one job would leave the place of the second empty. */
function refuseTwins(jobs: readonly StepJob[]): void {
  const known = new Map<string, string>();
  for (const { item } of jobs) {
    const same = known.get(item.id);
    if (same !== undefined)
      throw new RequestError({
        problem: `${item.name} is ${same} again: of the same models and options, which a queue converts once.`,
        advice: 'Leave one of them out; sdconvert batch makes both.',
      });
    known.set(item.id, item.name);
  }
}

function refuseWithoutFloor({ name, floor }: Item): void {
  if (floor !== undefined) return;
  throw new RequestError({
    problem: `${name} has no floor, and only what reaches its floor is published.`,
    advice: 'Add one to the manifest (options: floor: 35), or leave out --publish.',
  });
}
