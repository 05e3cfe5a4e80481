import { PIXELS } from '../../convert/networks/latents.ts';
import { version } from '../../version.ts';
import { type Drawing, IMAGE_GUIDANCE } from './plan.ts';

/** What of a drawing a file shows. */
interface ShownPart {
  /** Among the pictures of its drawing. */
  readonly index?: number | undefined;
  /** After which step; all of them when left out. */
  readonly step?: number | undefined;
}

/**
 * How a picture was drawn, in the form that web UIs write into PNG files and read from them: the prompt, the negative prompt,
 * a line of settings. Of several drawings, which a sheet shows, it has all prompts, samplers and seeds.
 */
export function describeDrawing(drawings: readonly [Drawing, ...Drawing[]], part: ShownPart = {}): string {
  const [{ request }] = drawings;
  const all = (of: (drawing: Drawing) => string | number) => [...new Set(drawings.map(of))];
  const settings: Settings = {
    Steps: request.steps,
    Sampler: all(({ scheduler }) => scheduler.replace(/Scheduler$/, '')).join(' and '),
    'CFG scale': request.guidanceScale,
    Seed: all(({ seed }) => seed).join(' and '),
    ...commonSettings(drawings[0], part),
    Version: `sdconvert ${version}`,
  };
  const parts = Object.entries(settings).filter(([, value]) => value !== undefined && value !== false);
  return [
    ...all(({ prompt }) => prompt),
    ...(request.negativePrompt ? [`Negative prompt: ${request.negativePrompt}`] : []),
    parts.map(([name, value]) => `${name}: ${value}`).join(', '),
  ].join('\n');
}

/** Settings by name; those that are `false` or `undefined` are left out. */
type Settings = Readonly<Record<string, string | number | false | undefined>>;

/** The settings that all drawings of a request share. */
function commonSettings(
  { request, size, strength, pipeline, refiner, controls, inversions }: Drawing,
  { index, step }: ShownPart,
): Settings {
  const { clipSkip, imageCount, crop } = request;
  return {
    Size: sizeText(size.map((side) => side * PIXELS)),
    RNG: request.rng,
    Picture: index !== undefined && imageCount > 1 && `${index + 1} of ${imageCount}`,
    'After step': step,
    'Denoising strength': strength,
    'Image CFG scale': pipeline === 'image editing' && (request.imageGuidanceScale ?? IMAGE_GUIDANCE),
    // Web UIs count from 1.
    'Clip skip': clipSkip > 0 && clipSkip + 1,
    'Prompt weights': request.promptWeights && 'on',
    'Long prompts': request.longPrompts && 'on',
    'Textual inversions': inversions.map(({ token }) => token).join(' ') || undefined,
    'Original size': request.originalSize && sizeText(request.originalSize),
    Crop: crop.some((side) => side > 0) && crop.join(' '),
    'Refiner start': refiner && request.refinerStart,
    ControlNets:
      controls
        .map(({ scale, start, end }, i) => {
          const whole = start === 0 && end === 1;
          return `${request.controlnets[i]?.name} × ${scale}${whole ? '' : ` from ${start} to ${end}`}`;
        })
        .join(' + ') || undefined,
  };
}

/** Height and width as web UIs write them: `768x512` is 768 wide. */
function sizeText(heightAndWidth: readonly number[]): string {
  return heightAndWidth.toReversed().join('x');
}
