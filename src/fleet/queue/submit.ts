import { join } from 'node:path';
import type { FlowProducer, JobType } from 'bullmq';
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
import { checkListed, resultOfJob, versionOfJob } from './read-step-job.ts';
import type { StepResult } from './run-step.ts';
import { flowOf, jobIdOf, lastStepOf, placeOf, type StepJob, stepsOf } from './step-job.ts';
import { jobOf, jobsIn, openQueue, type StepQueue, type StepQueueJob } from './step-queue.ts';

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
  /** Whether items that are done are made again, and replace what is in their places in the store. */
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
  /**
   * `new`; `waiting` for what is in the queue already; `done`, with its result; `measure` for what is done and will be compared with
   * another reference; `again` for what had failed.
   */
  readonly state: 'new' | 'waiting' | 'done' | 'measure' | 'again';
  /** Where its result is, or will be: its folder in the store. */
  readonly place: string;
  readonly result?: StepResult | undefined;
}

/** Flows that are added in one request. */
const BULK = 200;

/**
 * Submits the items of a manifest to a queue. The same models, options and version are one job: where it is done its result
 * is the answer, judged by the floor of this manifest, and measured again where its reference is another; where it failed it is
 * tried again. Throws `RequestError` for an item without a floor that is to be published, for two items that are one job, for one
 * whose result is in another place, and where the queue holds jobs of another version, `NotFoundError` where there is no queue,
 * and what reading the manifest, asking the Hub and hashing files throw.
 */
export async function submit(options: SubmitOptions, context: Context = {}): Promise<SubmittedItem[]> {
  checkCall('submit', z.looseObject({ manifest: text, queue: text, results: text.optional() }), options);
  const request = withDefaults<SubmitRequest, typeof submitDefaults>(submitDefaults, options);
  const redis = await connectTo(request.queue, { lasting: false });
  try {
    const { FlowProducer } = await loadBullMq();
    const queue = await openQueue(redis);
    await refuseOtherVersion(queue, request.queue);
    const jobs = await plannedJobs(request, context);
    return await inStage('submit', context, async () => {
      const flows = new FlowProducer({ connection: redis });
      const output = await addAll(jobs, { queue, flows }, context);
      const isNew = output.filter(({ state }) => state === 'new').length;
      return { output, detail: `${count(isNew, 'new item')} of ${output.length}` };
    });
  } finally {
    redis.disconnect();
  }
}

/** The jobs of a manifest's items, with all that can be wrong with them found before anything is added. */
async function plannedJobs(
  { manifest, results, publish, force, hub }: SubmitRequest,
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
      const target = publish === undefined ? undefined : publishTarget(publish, item.name);
      const contents = await identities.contentsOf(identified);
      const how = { ...(target && { publish: target }), ...(force && { again: true }) };
      jobs.push({ version, item: identified, contents, results: address, ...how });
      const [done, total] = [index + 1, items.length];
      context.onProgress?.({ type: 'progress', stage: 'identify', what: item.name, done, total });
    }
    if (await exists(address)) await hashes.save(context);
    refuseTwins(jobs);
    return { output: jobs, detail: count(jobs.length, 'item') };
  });
}

interface Adding {
  readonly queue: StepQueue;
  readonly flows: FlowProducer;
}

/** What is to be done with an item that was looked up. */
interface Plan {
  readonly submitted: SubmittedItem;
  /** Changes what the queue has of it; nothing when left out. */
  readonly change?: () => Promise<unknown>;
}

async function addAll(jobs: readonly StepJob[], adding: Adding, context: Context): Promise<SubmittedItem[]> {
  await dropSuperseded(jobs, adding);
  const submitted: SubmittedItem[] = [];
  for (let at = 0; at < jobs.length; at += BULK) {
    throwIfInterrupted(context.signal);
    const bulk = jobs.slice(at, at + BULK);
    // All are looked up before any is changed: what is refused leaves the others as they were.
    const plans = await Promise.all(bulk.map((job) => planFor(job, adding)));
    await Promise.all(plans.map(({ change }) => change?.()));
    const isAdded = (index: number) => added.some((state) => state === plans[index]?.submitted.state);
    await adding.flows.addBulk(bulk.filter((_, index) => isAdded(index)).map(flowOf));
    submitted.push(...plans.map((plan) => plan.submitted));
  }
  return submitted;
}

/** States of items whose flows are added. */
const added = ['new', 'measure'] as const satisfies readonly SubmittedItem['state'][];

/**
 * Removes items whose place is now another one's, because their checkpoint or their options were changed since: those that failed, and
 * those that are done where they may be replaced.
 */
async function dropSuperseded(jobs: readonly StepJob[], { queue }: Adding): Promise<void> {
  const ids = new Map(jobs.map((job) => [placeOf(job), job.item.id]));
  const states: JobType[] = jobs.some(({ again }) => again) ? ['failed', 'completed'] : ['failed'];
  for (const ended of await jobsIn(queue, states)) {
    versionOfJob(ended); // of any version, but sdconvert's
    const { item } = ended.data;
    const id = ids.get(placeOf(ended.data));
    if (id === undefined || id === item.id) continue;
    const last = await jobOf(queue, jobIdOf(item, lastStepOf(ended.data)));
    await (last ?? ended).remove(); // with the steps before it
  }
}

/** Looks for an item in the queue. Throws as `refuseOtherPlace`. */
async function planFor(job: StepJob, { queue }: Adding): Promise<Plan> {
  const { item } = job;
  const row = { item: item.name, id: item.id, place: placeOf(job) };
  const steps = await Promise.all(stepsOf(job).map((step) => jobOf(queue, jobIdOf(item, step))));
  const [last, found] = [steps.at(-1), steps.filter((step) => step !== undefined)];
  const afresh = (state: (typeof added)[number]): Plan => ({
    submitted: { ...row, state },
    // A step that is done would not be done again.
    async change() {
      for (const step of found) if (await step.isCompleted()) await queue.remove(jobIdOf(item, step.name));
    },
  });
  if (last && (await last.isCompleted())) {
    const answer = answerOf(last, job);
    if (typeof answer === 'string') return afresh(answer);
    return { submitted: { ...row, state: 'done', result: answer }, change: () => judgeAs(job, [last]) };
  }
  for (const each of found)
    if (await each.isFailed())
      return {
        submitted: { ...row, state: 'again' },
        async change() {
          for (const step of found) await step.updateData(job);
          await each.retry('failed', { resetAttemptsMade: true });
        },
      };
  if (!last) return afresh('new');
  refuseOtherPlace(job, last.data, 'is in the queue already, and its result will be');
  return { submitted: { ...row, state: 'waiting' }, change: () => judgeAs(job, found) };
}

/** Whether an item that is done is made or measured again; else what it answers. Throws as `refuseOtherPlace`. */
function answerOf(done: StepQueueJob, job: StepJob): (typeof added)[number] | StepResult {
  const { data } = done;
  const { floor, referenceIdentity } = job.item;
  if (job.again) return 'new';
  checkListed(done);
  const returnvalue = resultOfJob(done);
  refuseOtherPlace(job, data, 'is done already, and its result is');
  if (referenceIdentity !== undefined && returnvalue.reference !== referenceIdentity) return 'measure';
  const result = { ...returnvalue, verdict: verdictAt(floor, returnvalue.psnr) };
  return job.publish && result.verdict === 'pass' && result.published === undefined ? 'new' : result;
}

/** Has steps judge an item as is asked now: floor and reference are not of its id. A step that runs goes on as it began. */
async function judgeAs({ item, contents }: StepJob, steps: readonly StepQueueJob[]): Promise<void> {
  const { floor, reference, referenceIdentity } = item;
  for (const step of steps) {
    const judged = { ...step.data.item, floor, reference, referenceIdentity };
    await step.updateData({ ...step.data, contents, item: judged });
  }
}

/** Throws `RequestError` for an item whose result is, or will be, in another place. */
function refuseOtherPlace(job: StepJob, known: StepJob, standing: string): void {
  if (placeOf(known) === placeOf(job)) return;
  throw new RequestError({
    problem: `${job.item.name} ${standing} not in ${placeOf(job)} but in ${placeOf(known)}.`,
    advice: 'Copy it from there when it is done, or pass --force then to have it made here, too.',
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
