import { join, resolve } from 'node:path';
import { type FromHub, locateRequested, refuseInCache } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage } from '../context.ts';
import { OutputExistsError } from '../errors.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import { exists, listFolder, whileNameLocked } from '../io/disk.ts';
import { claimTemporaryFolder } from '../io/temporary-folder.ts';
import { count, formatBytes } from '../text.ts';
import { findOnnxruntimeWeb } from '../web/find-onnxruntime-web.ts';
import { pageFiles } from '../web/page-files.ts';
import { type PlannedWeb, planWeb } from '../web/plan-web.ts';
import { strangerIn } from '../web/stranger-in.ts';
import { WEB_FOLDER } from '../web/web-folder.ts';
import type { MemoryNeed } from '../web/web-plan.ts';
import { type WebContents, type WrittenWeb, writeWeb } from '../web/write-web.ts';
import { checkRequest } from './check-request.ts';
import { generate } from './generate.ts';
import { whileOutputsStay } from './in-output.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** A page to make. */
export interface WebRequest extends FromHub {
  /** Output folder of a conversion with `onnx`, or a repository of ONNX models on the Hub. */
  readonly folder: string;
  /** Folder for the page; `web` in the output folder when left out. Models on the Hub need one. */
  readonly output?: string | undefined;
  /** Prompt of the demo, which Node draws as the page is made. */
  readonly prompt: string;
  /** Steps of the demo; 0 leaves the demo out. */
  readonly steps: number;
  readonly guidanceScale: number;
  readonly seed: number;
  /** Whether to replace a page that is there. */
  readonly force: boolean;
  /** Folder at or above which onnxruntime-web may be installed. */
  readonly installedIn: string;
}

/** Defaults of `web`. */
export const webDefaults = {
  prompt: 'a red circle',
  steps: 20,
  guidanceScale: 7.5,
  seed: 7,
  force: false,
  installedIn: '.',
} as const satisfies Partial<WebRequest>;

/** Options of `web`; only `folder` is required. */
export type WebOptions = OptionsOf<WebRequest, typeof webDefaults>;

/** A page that was written. */
export interface WebResult extends WrittenWeb {
  readonly folder: string;
  readonly memory: MemoryNeed;
}

/** Stages of `web`, in order. */
export const webStages = ['plan', 'demo', 'write'] as const;

/**
 * Makes a static folder with a page that draws with the models of a conversion in the browser. Throws `NotFoundError` when
 * a model or onnxruntime-web is missing, `UnsupportedModelError` for models that the page cannot draw with,
 * `OutputExistsError` for a folder with something else in it, `OutputBusyError` while another run writes into the conversion, and
 * `InterruptedError`.
 */
export async function web(options: WebOptions, context: Context = {}): Promise<WebResult> {
  checkRequest('web', options);
  const given = withDefaults<WebRequest, typeof webDefaults>(webDefaults, options);
  if (given.output === undefined) await refuseInCache(given.folder);
  // Before anything is downloaded.
  const onnxruntime = await findOnnxruntimeWeb([import.meta.url, resolve(given.installedIn, 'page.js')]);
  if (given.steps > 0) await requireOnnxruntime();
  const request = await locateRequested(given, { folder: 'onnx' }, context);
  const folder = request.output ?? join(request.folder, WEB_FOLDER);
  return whileNameLocked(folder, () =>
    whileOutputsStay([request.folder], (requireUnchanged) =>
      makePage(folder, request, { onnxruntime, requireUnchanged }, context),
    ),
  );
}

async function makePage(
  folder: string,
  request: WebRequest,
  given: Pick<WebContents, 'onnxruntime' | 'requireUnchanged'>,
  context: Context,
): Promise<WebResult> {
  await checkOutput(folder, request);
  const planned = await inStage('plan', context, async () => {
    const page = await pageFiles();
    const models = await planWeb(request.folder, context);
    const { wasm, webGpu } = models.memory;
    const detail = `${models.title}: the browser needs about ${formatBytes(webGpu)} with WebGPU, ${formatBytes(wasm)} without`;
    return { output: { ...models, page, ...given }, detail };
  });
  const temporary = await claimTemporaryFolder();
  try {
    const demo =
      request.steps > 0
        ? await inStage('demo', context, () => drawDemo(request, planned, temporary, context))
        : undefined;
    const written = await inStage('write', context, async () => {
      const output = await writeWeb(folder, { ...planned, demo }, context);
      return { output, detail: `${folder}, ${formatBytes(output.bytes)}` };
    });
    return { ...written, folder, memory: planned.memory };
  } finally {
    await temporary.remove();
  }
}

async function checkOutput(folder: string, { force }: WebRequest): Promise<void> {
  if (!(await exists(folder)) || (await listFolder(folder)).length === 0) return;
  const stranger = await strangerIn(folder);
  if (stranger !== undefined)
    throw new OutputExistsError({
      problem: `${folder} holds something else than a page.`,
      details: { found: stranger },
      advice: 'Name another folder with -o.',
    });
  if (!force)
    throw new OutputExistsError({
      problem: `${folder} holds a page already.`,
      advice: 'Replace it with --force, or name another folder with -o.',
    });
}

/** Draws the demo with Node, by the rules of the page; progress counts as that of one stage. */
async function drawDemo(
  request: WebRequest,
  { unet }: Pick<PlannedWeb, 'unet'>,
  temporary: Awaited<ReturnType<typeof claimTemporaryFolder>>,
  { signal, onProgress }: Context,
) {
  await temporary.make();
  const { prompt, steps, guidanceScale, seed } = request;
  const settings = { prompt, steps, guidanceScale, seed };
  const [image] = await generate(
    {
      ...settings,
      input: request.folder,
      output: temporary.path,
      // The page has no safety checker, and reads all of a prompt where the UNet takes any number of tokens.
      disableSafety: true,
      longPrompts: unet.tokens === undefined,
    },
    {
      ...(signal && { signal }),
      onProgress: (event) => {
        if (event.type === 'progress') onProgress?.({ ...event, stage: 'demo' });
        if (event.type === 'note') onProgress?.(event);
      },
    },
  );
  if (!image) throw new RangeError('the demo was not drawn');
  return {
    output: { ...settings, path: image.path },
    detail: `“${prompt}”, ${count(steps, 'step')}, seed ${seed}`,
  };
}
