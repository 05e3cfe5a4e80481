import type { Context } from '../../context.ts';
import { PIXELS } from '../../convert/networks/latents.ts';
import { openTokenizerOf } from '../../generate/drawing-settings.ts';
import type { DrawnUnet } from '../../generate/drawn-unet.ts';
import {
  type ConditioningRequest,
  encodeConditioning,
  type TextEncoders,
} from '../../generate/encode-conditioning.ts';
import type { Guidance } from '../../generate/pipelines/guidance.ts';
import { withGuidanceScale } from '../../generate/pipelines/guidance-embedding.ts';
import type { Conditioning } from '../../generate/pipelines/predict-noise.ts';
import { pickRows } from '../../weights/tensor-data.ts';
import type { Conditionings } from './draw-latents.ts';
import type { Drawing, RefinerPlan } from './plan.ts';

/** Encodes the prompts of a drawing for base model and refiner. Throws what `encodeConditioning` throws. */
export async function encodePrompts(drawing: Drawing, context: Context): Promise<Conditionings> {
  const { request, unet, guidance, refiner } = drawing;
  const { negativePrompt = '', guidanceScale } = request;
  const prompts = guidance.rows.length > 1 ? [negativePrompt, drawing.prompt] : [drawing.prompt];
  const encoded = await encodeConditioning(
    encodersOf(drawing, unet),
    conditioningOf(drawing, unet, prompts),
    context,
  );
  return {
    base: withGuidanceScale(rowsFor(encoded, guidance), unet, guidanceScale),
    refiner: refiner && (await encodeRefiner(drawing, refiner)),
  };
}

/** The refiner has classifier-free guidance even where the base model's is distilled. */
async function encodeRefiner(drawing: Drawing, { unet }: RefinerPlan) {
  const { negativePrompt = '', guidanceScale } = drawing.request;
  const prompts = guidanceScale > 1 ? [negativePrompt, drawing.prompt] : [drawing.prompt];
  // What there is to note of the prompts was noted for the base model.
  return encodeConditioning(encodersOf(drawing, unet), conditioningOf(drawing, unet, prompts), {});
}

function encodersOf({ folder, networks }: Drawing, unet: DrawnUnet): TextEncoders {
  return {
    unet,
    networks,
    tokenizerOf: (encoder) =>
      openTokenizerOf(folder, encoder === 'text_encoder' ? 'tokenizer' : 'tokenizer_2', unet.family),
  };
}

function conditioningOf(
  { request, settings, size, inversions }: Drawing,
  { family }: DrawnUnet,
  prompts: readonly string[],
): ConditioningRequest {
  const { originalSize, crop, negativePrompt, clipSkip } = request;
  const reading = { long: request.longPrompts, weights: request.promptWeights, clipSkip, inversions };
  const target = [size[0] * PIXELS, size[1] * PIXELS] as const;
  const zeros =
    family === 'sdxl' && settings.zerosForEmptyPrompt && negativePrompt === undefined && prompts.length > 1;
  const sizes = { original: originalSize ?? target, crop, target };
  return { prompts, zeroed: zeros ? [0] : [], sizes, reading };
}

/** Arranges encoded rows, [negative prompt, prompt] or the prompt alone, as the guidance needs them. */
function rowsFor({ hiddenStates, added }: Conditioning, { rows }: Guidance): Conditioning {
  const numbers = rows.map((row) => (row === 'prompt' ? (hiddenStates.shape[0] ?? 1) : 1) - 1);
  return {
    hiddenStates: pickRows(hiddenStates, numbers),
    ...(added && { added: new Map([...added].map(([name, tensor]) => [name, pickRows(tensor, numbers)])) }),
  };
}
