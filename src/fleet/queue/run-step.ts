import { basename } from 'node:path';
import type { Context } from '../../context.ts';
import { uploadFolder } from '../../hub/upload-folder.ts';
import { version } from '../../version.ts';
import type { Decibels, Finished } from '../finished.ts';
import type { IdentifiedItem } from '../item.ts';
import { checkItem, convertItem, fetchItem } from '../steps.ts';
import { openStore } from '../store/open-store.ts';
import { RECORD, type Store } from '../store/store.ts';
import { storedResult } from '../store/stored-result.ts';
import { type ItemVerdict, lowest, verdictOf } from '../verdict.ts';
import type { QueueStep, StepJob } from './step-job.ts';
import type { WorkerSite } from './step-site.ts';
import { refuseChanged } from './unchanged.ts';
import { WorkerFolder } from './worker-folder.ts';

/** What came of a step; that of the last one is the item's. */
export interface StepResult {
  /** Bytes of the item's files; absent before there are any. */
  readonly bytes?: number | undefined;
  /** The lowest PSNR in dB of all its models; absent where none was measured. */
  readonly psnr?: Decibels | undefined;
  readonly verdict?: ItemVerdict | undefined;
  /** Where the item is on the Hub; absent where it is not. */
  readonly published?: string | undefined;
}

/** All that a step works with. */
interface Work extends StepJob {
  readonly store: Store;
  readonly folder: WorkerFolder;
  readonly site: WorkerSite;
  readonly context: Context;
  /** The item with the worker's own folder as its output. */
  readonly own: IdentifiedItem;
}

/**
 * Runs a step of an item. What the steps before it did is done again if it is not here, because they ran on another worker; what is in the store
 * is never made again. Throws what the step throws.
 */
export async function runStep(
  step: QueueStep,
  job: StepJob,
  site: WorkerSite,
  context: Context,
): Promise<StepResult> {
  const { item } = job;
  const store = await openStore(job.results, site.store);
  const folder = new WorkerFolder(site.folder, site.maxDiskBytes);
  const admit = ({ diskBytes }: { readonly diskBytes: number }) => folder.admit(diskBytes, item);
  const own = { ...item, output: folder.resultOf(item) };
  try {
    return await steps[step]({ ...job, store, folder, site, own, context: { ...context, admit } });
  } finally {
    await store.close();
  }
}

const steps: { readonly [K in QueueStep]: (work: Work) => Promise<StepResult> } = {
  async fetch({ store, item, own, site, folder, context }) {
    if (await storedResult(store, item)) return {};
    await fetchItem(own, site, context);
    await folder.admit(0, item);
    return {};
  },
  async convert(work) {
    const { store, item, own, site, context } = work;
    const there = await storedResult(store, item);
    if (there) return { bytes: there.bytes };
    await refuseChanged(work, site, context);
    return { bytes: (await convertItem(own, site, context)).bytes };
  },
  async check(work) {
    const { store, item, own, site, folder, context } = work;
    const there = await storedResult(store, item);
    if (there) return resultOf(item, there);
    const { bytes } = await convertItem(own, site, context);
    const quality = await checkItem(own, site, context);
    await refuseChanged(work, site, context);
    await store.put(item.name, own.output, context);
    if (!work.publish) await folder.finish(item);
    return resultOf(item, { bytes, quality });
  },
  async publish(work) {
    const { store, item, own, site, folder, context } = work;
    const checked = await steps.check(work);
    const { publish: target } = work;
    if (!target || checked.verdict !== 'pass') return checked;
    const from = await store.get(item.name, own.output, context);
    const title = `Add ${basename(item.name)}, converted by sdconvert ${version}`;
    await uploadFolder({ ...target, folder: from, record: RECORD, title }, site.hub, context);
    await folder.finish(item);
    return { ...checked, published: [target.repo, target.path].filter((part) => part !== '').join('/') };
  },
};

function resultOf(item: IdentifiedItem, { bytes, quality }: Finished): StepResult {
  return { bytes, psnr: lowest(quality), verdict: verdictOf(item, quality) };
}
