import { basename } from 'node:path';
import type { Context } from '../../context.ts';
import { uploadFolder } from '../../hub/upload-folder.ts';
import { removePath } from '../../io/disk.ts';
import { linkFolder } from '../../io/link-folder.ts';
import { version } from '../../version.ts';
import { type Decibels, type Finished, finishedResult, isMeasured } from '../finished.ts';
import type { IdentifiedItem } from '../item.ts';
import { checkItem, convertItem, fetchItem } from '../steps.ts';
import { openStore } from '../store/open-store.ts';
import { compareRecords, RECORD, type Store } from '../store/store.ts';
import { storedResult } from '../store/stored-result.ts';
import { lowest, verdictOf } from '../verdict.ts';
import type { ItemVerdict } from '../verdict-words.ts';
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
  /** What that is measured against: `float32`, or the identity of another reference. */
  readonly reference?: string | undefined;
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
 * is made again only where that is asked for. Throws what the step throws.
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
  async fetch(work) {
    const { item, own, site, folder, context } = work;
    const there = await found(work);
    if (there && isMeasured(item, there)) return {};
    await fetchItem(own, site, context);
    await folder.admit(0, item);
    return {};
  },
  async convert(work) {
    const { own, site, context } = work;
    const there = await found(work);
    if (there) return { bytes: there.bytes };
    await refuseChanged(work, site, context);
    return { bytes: (await convertItem(own, site, context)).bytes };
  },
  async check(work) {
    const { store, item, own, site, folder, context } = work;
    const there = await found(work);
    if (there && isMeasured(item, there)) {
      // Whoever put it there may have been killed before it removed its own.
      if (!work.publish) await folder.finish(item);
      return resultOf(item, there);
    }
    if (there) await bringHere(work, there);
    const { bytes } = await convertItem(own, site, context);
    const quality = await checkItem(own, site, context);
    await refuseChanged(work, site, context);
    if (work.again) await store.remove(item.name);
    await store.put(item.name, own.output, context);
    if (!work.publish) await folder.finish(item);
    return resultOf(item, { bytes, quality });
  },
  async publish(work) {
    const { store, item, own, site, folder, context } = work;
    // The step before has made it again.
    const checked = await steps.check({ ...work, again: false });
    const { publish: target } = work;
    if (!target || checked.verdict !== 'pass') {
      await folder.finish(item);
      return checked;
    }
    const from = await store.get(item.name, own.output, context);
    const title = `Add ${basename(item.name)}, converted by sdconvert ${version}`;
    const upload = { ...target, folder: from, record: RECORD, compare: compareRecords, title };
    await uploadFolder(upload, site.hub, context);
    await folder.finish(item);
    return { ...checked, published: [target.repo, target.path].filter((part) => part !== '').join('/') };
  },
};

/** The item's result in the store, unless it is to be made again. */
async function found({ again, store, item }: Work): Promise<Finished | undefined> {
  return again ? undefined : storedResult(store, item);
}

/** Has the store's result in the worker's folder, too, to be measured there: nothing of it is written in its place. */
async function bringHere({ store, item, own, folder, context }: Work, { bytes }: Finished): Promise<void> {
  if (await finishedResult(own)) return;
  await folder.admit(bytes, item);
  await removePath(own.output);
  const from = await store.get(item.name, own.output, context);
  if (from !== own.output) await linkFolder(from, own.output);
}

function resultOf(item: IdentifiedItem, { bytes, quality }: Finished): StepResult {
  return {
    bytes,
    psnr: lowest(quality),
    reference: quality?.reference,
    verdict: verdictOf(item, quality),
  };
}
