import type { Context } from '../context.ts';
import type { HubOptions } from '../hub/hub-options.ts';
import type { RunBounds } from '../validate/bounded-runs.ts';
import type { IdentifiedItem } from './item.ts';

/**
 * The steps of an item, in order: fetch → convert → check. Each takes the identified item, and does only what is not done: a
 * step that was killed is simply run again. A variant with fewer bits is quantised while it is converted, from the
 * checkpoint's own weights (docs/decisions/0026-many-checkpoints.md).
 */
export const stepNames = ['fetch', 'convert', 'check'] as const;

export type StepName = (typeof stepNames)[number];

/** What is of the machine that runs a step. */
export interface Site extends RunBounds {
  readonly hub: HubOptions;
  /** Whether results that were made in another way are replaced. */
  readonly force?: boolean | undefined;
}

/** What a conversion wrote. */
export interface Converted {
  /** Bytes of the item's files. */
  readonly bytes: number;
}

/** PSNR in dB; JSON has no infinity. */
export type Decibels = number | 'Infinity';

/** How far an item's models are from their reference. */
export interface Quality {
  /** `float32`, or the identity of what the reference path holds. */
  readonly reference: string;
  /** By model, relative to the output: the lowest PSNR in dB of its outputs. */
  readonly psnr: Readonly<Record<string, Decibels>>;
}

/** The signature of every step. */
export type Step<Result> = (item: IdentifiedItem, site: Site, context: Context) => Promise<Result>;
