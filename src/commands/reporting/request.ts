import type { ClientName } from '../../bundle/profiles/profile.ts';
import type { FromHub } from '../../checkpoint/from-hub/locate-requested.ts';
import type { Card } from '../../report/card.ts';
import type { RunBounds } from '../../validate/bounded-runs.ts';
import type { Verdict } from '../../validate/verdict.ts';
import type { OptionsOf } from '../options.ts';

/** The conversion to report on, and what to measure for it. */
export interface ReportRequest extends RunBounds, FromHub {
  /** Output folder of a conversion, or any folder of models. */
  readonly folder: string;
  /** Folder for the card; the conversion's own when left out. */
  readonly output?: string | undefined;
  /** Checkpoint or other conversion to compare with; nothing is run when left out. */
  readonly reference?: string | undefined;
  /** Variant of a checkpoint's weights that was converted; the plain ones when left out. */
  readonly variant?: string | undefined;
  /** Lowest PSNR in dB that passes. */
  readonly minPsnr: number;
  /** Clients whose refusals are faults; those of the folder's targets are told as warnings when left out. */
  readonly clients?: readonly ClientName[] | undefined;
  /** File of `analyze`, for the curve of bytes against dB. */
  readonly analysis?: string | undefined;
  /** Whether to draw with the reference and with the conversion's networks, one at a time. */
  readonly pictures: boolean;
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidanceScale: number;
  /** Verdicts of a check that has just been made, such as a conversion's; then no model is run for them. */
  readonly verdicts?: readonly Verdict[] | undefined;
  /** Seconds of the stages of the conversion that has just been made. */
  readonly conversion?: Card['cost']['conversion'] | undefined;
  /** Whether to replace a README.md that sdconvert did not write. */
  readonly force: boolean;
}

/** Defaults of `report`. */
export const reportDefaults = {
  minPsnr: 35,
  pictures: false,
  prompt: 'a photo of an astronaut riding a horse on mars',
  seed: 93,
  steps: 20,
  guidanceScale: 7.5,
  force: false,
} as const satisfies Partial<ReportRequest>;

/** Options of `report`; only `folder` is required. */
export type ReportOptions = OptionsOf<ReportRequest, typeof reportDefaults>;

/** A report that was written. */
export interface ReportResult {
  readonly card: Card;
  /** Paths of `report.html`, `report.json` and `README.md`. */
  readonly files: readonly string[];
}
