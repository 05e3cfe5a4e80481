import { closeLocated, locateModels } from '../checkpoint/from-hub/locate-models.ts';
import type { ConvertOptions } from '../commands/conversion/request.ts';
import { convertCheckpoint } from '../commands/convert.ts';
import { validate } from '../commands/validate.ts';
import type { Context } from '../context.ts';
import { NotFoundError, ValidationError } from '../errors.ts';
import type { HubOptions } from '../hub/hub-options.ts';
import { pathFrom } from '../io/path-from.ts';
import { modelsToCompare } from '../run/find-models.ts';
import { DEFAULT_MAX_BYTES, type RunBounds } from '../validate/bounded-runs.ts';
import type { Verdict } from '../validate/verdict.ts';
import {
  asDecibels,
  type Decibels,
  type Finished,
  finishedResult,
  type Quality,
  recordFinished,
} from './finished.ts';
import { inTurn } from './in-turn.ts';
import type { IdentifiedItem } from './item.ts';
import { refuseOtherItem, requireOwn } from './own-folder.ts';
import { FLOAT32 } from './plan-variants.ts';

/**
 * The steps of an item, in order: fetch → convert → check. Each takes the identified item and does only what is not done yet: a
 * step that was killed is simply run again. A variant with fewer bits is quantised while it is converted, from the
 * checkpoint's own weights, so that a step of its own for quantising would only read everything once more.
 */
export const stepNames = ['fetch', 'convert', 'check'] as const;

export type StepName = (typeof stepNames)[number];

/** What is of the machine that runs a step, and not of the item. */
export interface Site extends RunBounds {
  readonly hub: HubOptions;
  /** Whether results that were made in another way are replaced. */
  readonly force?: boolean | undefined;
}

/** Downloads what of an item is on the Hub into the cache. Throws as `locateModels`. */
export async function fetchItem(item: IdentifiedItem, site: Site, context: Context): Promise<void> {
  await closeLocated(await locateModels(requestOf(item, site), {}, context));
}

/**
 * Converts an item, and records that its folder is its result. Throws as `convertCheckpoint`, and `OutputExistsError` for a folder
 * that has results of another item.
 */
export function convertItem(item: IdentifiedItem, site: Site, context: Context): Promise<Finished> {
  return inTurn(item.output, context, () => convertNow(item, site, context));
}

async function convertNow(item: IdentifiedItem, site: Site, context: Context): Promise<Finished> {
  const before = await finishedResult(item);
  if (before) return before;
  const { force = false } = site;
  const converted = await convertCheckpoint(
    { ...requestOf(item, site), force },
    {
      ...context,
      // Nothing is written yet, and what convert itself refuses says more.
      async admit(need) {
        if (!force) await refuseOtherItem(item);
        await context.admit?.(need);
      },
    },
  );
  await requireOwn(item, converted, force);
  await recordFinished(item);
  const after = await finishedResult(item);
  if (!after) throw changed(item);
  return after;
}

/**
 * Measures how far the models of a converted item are from its reference, and records it; `undefined` where it has none. Throws
 * `ValidationError` for outputs that are not finite, and as `convertCheckpoint` and `validate` do.
 */
export function checkItem(item: IdentifiedItem, site: Site, context: Context): Promise<Quality | undefined> {
  return inTurn(item.output, context, () => checkNow(item, site, context));
}

async function checkNow(item: IdentifiedItem, site: Site, context: Context): Promise<Quality | undefined> {
  const { reference, referenceIdentity, output } = item;
  if (reference === undefined || referenceIdentity === undefined) return undefined;
  const known = (await finishedResult(item))?.quality;
  if (known) return known;
  const verdicts = await judged(item, reference, site, context);
  for (const { pass, paths } of verdicts) if (!pass) throw notFinite(paths.join(', '), reference);
  const psnr = verdicts.map((verdict): [string, Decibels] => [
    pathFrom(output, verdict.paths[0] ?? ''),
    lowestOf(verdict),
  ]);
  const quality = { reference: referenceIdentity, psnr: Object.fromEntries(psnr) };
  await recordFinished(item, quality);
  return quality;
}

async function judged(
  item: IdentifiedItem,
  reference: string,
  site: Site,
  context: Context,
): Promise<readonly Verdict[]> {
  const { maxMemoryBytes, tmpDir } = site;
  const floor = { minPsnr: Number.NEGATIVE_INFINITY, maxMemoryBytes, tmpDir };
  if (reference === FLOAT32) {
    // Again, with a check: everything is there, so nothing is written, and LoRAs and a VAE of its own are in the reference.
    const request = { ...requestOf(item, site), ...floor };
    const { verdicts } = await convertCheckpoint(request, withoutNotesOf('write', context));
    return verdicts;
  }
  await context.admit?.({ memoryBytes: maxMemoryBytes ?? DEFAULT_MAX_BYTES, diskBytes: 0 });
  const verdicts = await validate(
    { artifact: item.output, reference, hub: { ...site.hub, revision: undefined }, ...floor },
    context,
  );
  const measured = new Set(verdicts.flatMap(({ paths }) => paths));
  const models = await modelsToCompare(item.output);
  const others = models.filter(({ paths }) => !paths.every((path) => measured.has(path)));
  if (others.length > 0)
    throw notComparable(
      others.flatMap(({ paths }) => paths),
      reference,
    );
  return verdicts;
}

/** Follows work without the notes of a stage: in a check, that of writing only notes that all is there. */
function withoutNotesOf(stage: string, context: Context): Context {
  let isThere = false;
  return {
    ...context,
    onProgress(event) {
      if (event.type === 'stage') isThere = event.stage === stage;
      if (event.type !== 'note' || !isThere) context.onProgress?.(event);
    },
  };
}

/** The lowest PSNR of a model's outputs, in dB with two decimals: against float32, whatever the bits. */
function lowestOf({ outputs }: Verdict): Decibels {
  const lowest = Math.min(...outputs.map(({ psnr, float32Psnr }) => float32Psnr ?? psnr));
  return asDecibels(Math.round(lowest * 100) / 100);
}

function requestOf({ models, options, output }: IdentifiedItem, { hub }: Site): ConvertOptions {
  const { revision, ...sources } = models;
  return { ...sources, ...options, output, hub: { ...hub, revision } };
}

/** Without a floor, only outputs that are not finite do not pass. */
function notFinite(model: string, reference: string): ValidationError {
  return new ValidationError({
    problem: `${model} has outputs that are not finite, or cannot be compared with ${reference}.`,
    advice: 'The artifacts are kept for inspection. Try the precision float16-weights or float32.',
  });
}

/** A floor is that of all models. */
function notComparable(paths: readonly string[], reference: string): ValidationError {
  return new ValidationError({
    problem: `${paths.join(', ')} cannot be compared with ${reference}, which arranges its inputs and outputs in another way.`,
    advice: 'Take float32 as the reference, or make these models in an item of their own.',
  });
}

function changed({ output }: IdentifiedItem): NotFoundError {
  return new NotFoundError({
    problem: `${output} was changed while it was written.`,
    advice: 'Run this again when nothing else writes there.',
  });
}
