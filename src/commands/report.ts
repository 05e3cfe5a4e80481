import { join } from 'node:path';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { refuseRevisionOnDisk, resolveRequested } from '../checkpoint/from-hub/locate-requested.ts';
import type { ResolvedModel } from '../checkpoint/from-hub/resolve-model.ts';
import { openCheckpoint } from '../checkpoint/open-checkpoint.ts';
import { type Context, inStage } from '../context.ts';
import { OutputExistsError } from '../errors.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import type { FoundArtifact } from '../inspect/inspect-artifacts.ts';
import { pathKind, readText, whileLocked, writeText } from '../io/disk.ts';
import { writeJson } from '../io/json/strict-json.ts';
import type { Card } from '../report/card.ts';
import type { MeasuredVerdicts } from '../report/facts/compare.ts';
import type { EmbeddedPicture } from '../report/pictures/embedded.ts';
import { modelCard, OWN_MODEL_CARD } from '../report/render/model-card.ts';
import { cardPage } from '../report/render/page.ts';
import { count } from '../text.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsStay } from './in-output.ts';
import { withDefaults } from './options.ts';
import { assembleCard } from './reporting/assemble.ts';
import {
  drawSwapped,
  refuseOtherTasks,
  refusePictures,
  type SwappedPictures,
} from './reporting/draw-swapped.ts';
import { measureParity } from './reporting/measure.ts';
import { readFolder, requireArtifacts } from './reporting/read-folder.ts';
import {
  type ReportOptions,
  type ReportRequest,
  type ReportResult,
  reportDefaults,
} from './reporting/request.ts';
import { Stopwatch } from './reporting/stopwatch.ts';

/** Stages of a report, in order. */
export function reportStages({ reference, pictures, verdicts }: Partial<ReportRequest>): readonly string[] {
  const compares = reference !== undefined && verdicts === undefined;
  return ['read', ...(compares ? ['compare'] : []), ...(pictures ? ['draw'] : []), 'judge', 'report'];
}

/**
 * Writes the report card of a conversion: `report.html`, its JSON twin `report.json`, and a model card for the Hub, `README.md`.
 * Without a reference nothing is run, and the card says what is not known. Throws `NotFoundError` for a folder without models,
 * `OutputExistsError` for a README.md of somebody else, `InterruptedError`, and what reading, running and drawing throws.
 *
 * @example (await report({ folder: 'out', reference: 'stable-diffusion-v1-5' })).card.verdict.result // 'pass'
 */
export async function report(options: ReportOptions, context: Context = {}): Promise<ReportResult> {
  checkRequest('report', options);
  const given = withDefaults<ReportRequest, typeof reportDefaults>(reportDefaults, options);
  refusePictures(given);
  const { reference, output = given.folder } = given;
  const runs = reference !== undefined && (given.pictures || given.verdicts === undefined);
  if (runs) await requireOnnxruntime();
  const artifacts = await requireArtifacts(given.folder);
  return whileLocked(output, async () => {
    if (!given.force) await refuseForeignCard(output);
    const onHub = await resolveReference(given, runs, context);
    const path = onHub?.path ?? reference;
    try {
      return await whileOutputsStay([given.folder], (requireUnchanged) =>
        reportOn({ ...given, reference: path }, { reference, artifacts, requireUnchanged }, context),
      );
    } finally {
      await onHub?.close();
    }
  });
}

/** The reference on the Hub, if it is there; of a checkpoint of which no model is run, only what is read of the weights comes. */
async function resolveReference(
  given: ReportRequest,
  runs: boolean,
  context: Context,
): Promise<ResolvedModel | undefined> {
  const { reference, variant } = given;
  if (reference === undefined) return undefined;
  await refuseRevisionOnDisk(given, [reference]);
  const isNeeded = runs ? undefined : () => false;
  return resolveRequested(reference, given, { purpose: 'reference', variant, isNeeded }, context);
}

/** Reports on models that were found; `reference` is as it was given, and that of the request a path. */
async function reportOn(
  request: ReportRequest,
  {
    reference,
    artifacts,
    requireUnchanged,
  }: {
    readonly reference: string | undefined;
    readonly artifacts: readonly FoundArtifact[];
    readonly requireUnchanged: () => Promise<void>;
  },
  context: Context,
): Promise<ReportResult> {
  const { variant, output = request.folder } = request;
  const watch = new Stopwatch(context);
  const read = await inStage('read', watch.context, async () => {
    const found = await readFolder(request.folder, artifacts, request.reference);
    return { output: found, detail: count(found.files.length, 'model') };
  });
  const checkpoint =
    read.inspected && request.reference !== undefined
      ? await openCheckpoint(request.reference, { variant })
      : undefined;
  try {
    const measured = await measure(request, watch.context);
    const drawn = await draw(request, { checkpoint, task: read.inspected?.task }, watch.context);
    const pictures = drawn?.facts ?? null;
    const parts = { ...read, request, reference, measured, checkpoint, pictures, signal: context.signal };
    const judged = await inStage('judge', watch.context, async () => {
      const found = await assembleCard(parts);
      return { output: found, detail: found.verdict.sentence };
    });
    const bytes = judged.files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const card: Card = {
      ...judged,
      cost: { bytes, conversion: request.conversion ?? null, ...watch.cost() },
    };
    return await inStage('report', watch.context, async () => {
      await requireUnchanged();
      const files = await writeCard(card, output, drawn?.images ?? new Map());
      return { output: { card, files }, detail: files.join(', ') };
    });
  } finally {
    await checkpoint?.close();
  }
}

/** The verdicts that were given, or those of a comparison now. */
async function measure(request: ReportRequest, context: Context): Promise<readonly MeasuredVerdicts[]> {
  const { reference, verdicts } = request;
  if (verdicts) return [{ arithmetic: 'exact', verdicts }];
  if (reference === undefined) return [];
  return inStage('compare', context, async () => {
    const output = await measureParity({ ...request, reference }, context);
    const models = output.reduce((sum, each) => sum + each.verdicts.length, 0);
    return { output, detail: count(models, 'comparison') };
  });
}

async function draw(
  request: ReportRequest,
  {
    checkpoint,
    task,
  }: { readonly checkpoint: Checkpoint | undefined; readonly task: string | null | undefined },
  context: Context,
): Promise<SwappedPictures | undefined> {
  const { reference, pictures } = request;
  if (!pictures || reference === undefined) return undefined;
  refuseOtherTasks(task);
  return inStage('draw', context, async () => {
    const output = await drawSwapped(
      { ...request, reference, isCheckpoint: checkpoint !== undefined },
      context,
    );
    return { output, detail: count(output.facts.swapped.length + 1, 'picture') };
  });
}

async function writeCard(
  card: Card,
  output: string,
  images: ReadonlyMap<string, EmbeddedPicture>,
): Promise<readonly string[]> {
  const [page, twin, readme] = [
    join(output, 'report.html'),
    join(output, 'report.json'),
    join(output, 'README.md'),
  ];
  await writeText(page, cardPage(card, images));
  await writeJson(twin, card);
  await writeText(readme, modelCard(card));
  return [page, twin, readme];
}

/** Throws `OutputExistsError` for a README.md that somebody else wrote. */
async function refuseForeignCard(output: string): Promise<void> {
  const path = join(output, 'README.md');
  if ((await pathKind(path)) !== 'file' || (await readText(path)).includes(OWN_MODEL_CARD)) return;
  throw new OutputExistsError({
    problem: `${path} was not written by sdconvert.`,
    advice: 'Name another folder for the report with -o, or pass --force to replace it.',
  });
}
