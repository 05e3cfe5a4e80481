import { refuseChunks } from '../bundle/profiles/refusals.ts';
import {
  closeLocated,
  type LocatedModels,
  locateModels,
  modelsOnHub,
} from '../checkpoint/from-hub/locate-models.ts';
import type { Context } from '../context.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import { Pipeline } from '../pipeline.ts';
import { planQuantization } from '../quantize/plan.ts';
import { checkRequest } from './check-request.ts';
import { buildStage } from './conversion/build.ts';
import { bundleStage } from './conversion/bundle.ts';
import { targetsFor } from './conversion/clients.ts';
import { dryRunStage } from './conversion/dry-run.ts';
import { componentsNeeded } from './conversion/needed-components.ts';
import { openStage } from './conversion/open.ts';
import { planStage } from './conversion/plan.ts';
import { precisionStage } from './conversion/precision.ts';
import {
  type ConvertOptions,
  type ConvertRequest,
  type ConvertResult,
  convertDefaults,
} from './conversion/request.ts';
import { validateStage } from './conversion/validate.ts';
import { writeStage } from './conversion/write.ts';
import { withDefaults } from './options.ts';

/**
 * Converts a checkpoint in stages: open → build → precision → plan → write → validate → bundle. Throws `ValidationError`
 * when an artifact's PSNR is below the floor, `OutputExistsError`, `DiskSpaceError`, `InterruptedError`, and what the
 * stages throw.
 */
export async function convertCheckpoint(
  options: ConvertOptions,
  context: Context = {},
): Promise<ConvertResult> {
  const request = requestOf(options);
  // Refuse impossible numbers of bits before anything is downloaded.
  if (request.quantization) planQuantization(request.quantization);
  if (request.minPsnr !== undefined) await requireOnnxruntime();
  const how = { show: request.dryRun, isNeeded: componentsNeeded(request) };
  const located = await locateModels(request, how, context);
  try {
    const result = await conversion(request).run(located, context);
    const { output, artifacts, bundled, verdicts, downloads, memory } = result;
    return { output, artifacts, bundled, verdicts, downloads, memory };
  } finally {
    await closeLocated(located);
  }
}

/** Names of the stages of a request, in order. */
export async function conversionStages(options: ConvertOptions): Promise<readonly string[]> {
  const { stages } = conversion(requestOf(options));
  return (await modelsOnHub(options)).length > 0 ? ['download', ...stages] : stages;
}

function requestOf(options: ConvertOptions): ConvertRequest {
  checkRequest('convert', options);
  const { clients, targets, maxChunkBytes } = options;
  if (maxChunkBytes !== undefined) refuseChunks(clients ?? []);
  return {
    ...withDefaults<ConvertRequest, typeof convertDefaults>(convertDefaults, options),
    targets: targetsFor(clients, targets),
  };
}

function conversion(request: ConvertRequest): Pipeline<LocatedModels, ConvertResult> {
  const planned = Pipeline.from(openStage(request))
    .to(buildStage(request))
    .to(precisionStage(request))
    .to(planStage(request));
  if (request.dryRun) return planned.to(dryRunStage(request));
  const written = planned.to(writeStage(request));
  const { minPsnr, maxMemoryBytes, tmpDir } = request;
  const validated =
    minPsnr === undefined ? written : written.to(validateStage({ minPsnr, maxMemoryBytes, tmpDir }));
  return request.bundle ? validated.to(bundleStage(request)) : validated;
}
