import { locateRequested, resolveRequested } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage } from '../context.ts';
import { requireOnnxruntime } from '../formats/onnx/run/onnx-session.ts';
import type { TextualInversionChoice } from '../generate/prompt/read-textual-inversion.ts';
import { peakMemory } from '../io/peak-memory.ts';
import { count, formatBytes } from '../text.ts';
import { checkRequest } from './check-request.ts';
import { drawAll } from './drawing/draw-all.ts';
import type { Conditionings } from './drawing/draw-latents.ts';
import { encodePrompts } from './drawing/encode-prompts.ts';
import { finishPictures, type GeneratedImage } from './drawing/finish-pictures.ts';
import { type Drawing, planDrawings } from './drawing/plan.ts';
import { type GenerateOptions, type GenerateRequest, generateDefaults } from './drawing/request.ts';
import { whileOutputsStay } from './in-output.ts';
import { withDefaults } from './options.ts';

/** Stages of `generate`, in order. */
export const generateStages = ['encode', 'denoise', 'decode'] as const;

/**
 * Generates pictures with a converted checkpoint in any format, one network in memory at a time (ControlNets beside their
 * UNet). Deterministic: the same request gives the same pictures on one machine. What is missing or does not fit is refused
 * before anything is loaded. Throws `NotFoundError` when the folder lacks a model, `RequestError` for a request that the
 * models cannot serve, `FileFormatError` for pictures that are no PNG, `OutputBusyError` while another run writes there, `InterruptedError`, and what running throws.
 */
export async function generate(options: GenerateOptions, context: Context = {}): Promise<GeneratedImage[]> {
  checkRequest('generate', options);
  const given = withDefaults<GenerateRequest, typeof generateDefaults>(generateDefaults, options);
  await requireOnnxruntime();
  const located = await locateRequested(given, { input: 'models' }, context);
  const request = { ...located, textualInversions: await locateInversions(given, context) };
  return whileOutputsStay([request.input], () => drawPictures(request, context));
}

async function drawPictures(request: GenerateRequest, context: Context): Promise<GeneratedImage[]> {
  const drawings = await planDrawings(request, context);
  try {
    const conditionings = await inStage('encode', context, () => encode(drawings, context));
    const drawn = await inStage('denoise', context, async () => {
      const output = await drawAll(drawings, conditionings, context);
      const steps = output.reduce((sum, each) => sum + each.steps, 0);
      return { output, detail: `${steps} × ${request.imageCount} runs of the UNet` };
    });
    return await inStage('decode', context, async () => {
      const output = await finishPictures(drawn, context);
      const peak = formatBytes(peakMemory());
      return {
        output,
        detail: `${count(output.length, 'picture')}, ${peak} of memory at the peak`,
      };
    });
  } finally {
    await drawings[0]?.networks.close();
  }
}

/** The textual inversions by local paths: what is on the Hub is downloaded. */
async function locateInversions(request: GenerateRequest, context: Context) {
  const located: TextualInversionChoice[] = [];
  for (const choice of request.textualInversions) {
    const onHub = await resolveRequested(choice.file, request, { purpose: 'inversion' }, context);
    located.push(onHub ? { ...choice, file: onHub.path } : choice);
  }
  return located;
}

/** Encodes each prompt once; what is to be said of the tokenizer is said once, too. */
async function encode(drawings: readonly Drawing[], { onProgress, ...others }: Context) {
  const known = new Map<string, Conditionings>();
  const told = new Set<string>();
  const context: Context = {
    ...others,
    onProgress: (event) => {
      const isKnown = event.type === 'note' && told.has(event.message);
      if (event.type === 'note') told.add(event.message);
      if (!isKnown) onProgress?.(event);
    },
  };
  for (const drawing of drawings)
    if (!known.has(drawing.prompt)) known.set(drawing.prompt, await encodePrompts(drawing, context));
  const output = drawings.flatMap(({ prompt }) => known.get(prompt) ?? []);
  return { output, detail: [...known.keys()].map((prompt) => `“${prompt}”`).join(', ') };
}
