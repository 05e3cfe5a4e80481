import type { Context } from '../context.ts';
import type { ConvertOptions, ConvertResult } from './conversion/request.ts';
import { conversionStages, convertCheckpoint } from './convert.ts';
import { report, reportStages } from './report.ts';
import { Stopwatch } from './reporting/stopwatch.ts';

/** A conversion with its report card. */
export interface ReportedConversion extends ConvertResult {
  /** Paths of `report.html`, `report.json` and `README.md`. */
  readonly report: readonly string[];
}

/** Stages of a conversion with a report, in order. */
export async function reportedStages(options: ConvertOptions): Promise<readonly string[]> {
  return [
    ...(await conversionStages(options)),
    ...reportStages({ reference: options.modelVersion, verdicts: [] }),
  ];
}

/**
 * Converts a checkpoint, and writes the report card of what was made, with the verdicts of its check and the seconds of its stages.
 * Throws what `convertCheckpoint` and `report` throw.
 */
export async function convertWithReport(
  options: ConvertOptions,
  context: Context = {},
): Promise<ReportedConversion> {
  const watch = new Stopwatch(context);
  const result = await convertCheckpoint(options, watch.context);
  const { output: folder, verdicts } = result;
  const { modelVersion: reference, variant, hub, minPsnr, clients, force } = options;
  const conversion = watch.stages;
  const { files } = await report(
    { folder, reference, variant, hub, minPsnr, clients, force, verdicts, conversion },
    context,
  );
  return { ...result, report: files };
}
