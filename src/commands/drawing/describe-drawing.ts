import { PIXELS } from '../../convert/networks/latents.ts';
import { version } from '../../version.ts';
import type { Drawing } from './plan.ts';

/**
 * How a picture was drawn, in the form that web UIs write into PNG files and read from them: the prompt, the negative prompt,
 * a line of settings. `index` tells a picture from the others of its drawing.
 */
export function describeDrawing(drawing: Drawing, index = 0): string {
  const { request, prompt, scheduler, seed, size, strength, refiner, controls, inversions } = drawing;
  const { negativePrompt, guidanceScale, clipSkip, imageCount } = request;
  const settings: Readonly<Record<string, string | number | false | undefined>> = {
    Steps: request.steps,
    Sampler: scheduler.replace(/Scheduler$/, ''),
    'CFG scale': guidanceScale,
    Seed: seed,
    Size: size
      .map((side) => side * PIXELS)
      .toReversed()
      .join('x'),
    RNG: request.rng,
    Picture: imageCount > 1 && `${index + 1} of ${imageCount}`,
    'Denoising strength': strength,
    // Web UIs count from 1.
    'Clip skip': clipSkip > 0 && clipSkip + 1,
    'Prompt weights': request.promptWeights && 'on',
    'Textual inversions': inversions.map(({ token }) => token).join(' ') || undefined,
    'Refiner start': refiner && request.refinerStart,
    ControlNets: controls.length > 0 && request.controlnets.map(({ name }) => name).join(' '),
    Version: `sdconvert ${version}`,
  };
  const parts = Object.entries(settings).filter(([, value]) => value !== undefined && value !== false);
  return [
    prompt,
    ...(negativePrompt ? [`Negative prompt: ${negativePrompt}`] : []),
    parts.map(([name, value]) => `${name}: ${value}`).join(', '),
  ].join('\n');
}
