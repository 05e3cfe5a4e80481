import { familyTitles } from '../../checkpoint/family.ts';
import type { Context } from '../../context.ts';
import { PIXELS } from '../../convert/networks/latents.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import { RequestError } from '../../errors.ts';
import { choosePipeline, type PipelineKind } from '../../generate/choose-pipeline.ts';
import {
  chooseUnet,
  type DrawingFolder,
  type DrawingUnet,
  findDrawingFolder,
  requireModel,
} from '../../generate/drawing-folder.ts';
import { type DrawingSettings, readSettings } from '../../generate/drawing-settings.ts';
import { drawnSize, type Size } from '../../generate/drawn-size.ts';
import { type DrawnUnet, inputsOf, readDrawnUnet } from '../../generate/drawn-unet.ts';
import { textEncodersOf } from '../../generate/encode-conditioning.ts';
import { type FoundControlNet, findControlNet } from '../../generate/find-controlnet.ts';
import type { Image } from '../../generate/image.ts';
import { type LoadedNetwork, Networks } from '../../generate/networks.ts';
import type { ControlStrength } from '../../generate/pipelines/control-residuals.ts';
import { classifierFree, type Guidance, unguided } from '../../generate/pipelines/guidance.ts';
import { editingGuidance } from '../../generate/pipelines/image-editing.ts';
import {
  baseTimesteps,
  type RefinerSplit,
  refinerTimesteps,
  timestepsLeft,
} from '../../generate/pipelines/timesteps.ts';
import { readTextualInversions } from '../../generate/prompt/read-textual-inversion.ts';
import type { TextualInversion } from '../../generate/prompt/textual-inversion.ts';
import type { Scheduler } from '../../generate/schedulers/scheduler.ts';
import { type SchedulerName, shortName } from '../../generate/schedulers/scheduler-names.ts';
import { makeFolder } from '../../io/disk.ts';
import { createRng } from '../../random/random.ts';
import type { Rng } from '../../random/rng.ts';
import { factsOfText } from '../../run/xl-models.ts';
import { noteUnlikeRecord } from '../note-unlike-record.ts';
import { checkNumbers } from './check-numbers.ts';
import { type ChosenScheduler, chooseSchedulers } from './choose-schedulers.ts';
import { noteOrigins, noteRounded, noteUnused, withoutUnused } from './notes.ts';
import { readPicture } from './read-picture.ts';
import type { ControlNetRequest, GenerateRequest } from './request.ts';

/** A prompt and a scheduler of a checked request, with everything that is known before a network is loaded. */
export interface Drawing extends ChosenScheduler {
  readonly request: GenerateRequest;
  readonly prompt: string;
  readonly seed: number;
  readonly folder: DrawingFolder;
  readonly networks: Networks;
  /** The UNet of the first steps. */
  readonly unet: DrawnUnet;
  readonly network: DrawingUnet;
  readonly refiner: RefinerPlan | undefined;
  readonly pipeline: PipelineKind;
  readonly guidance: Guidance;
  /** Size of the latents. */
  readonly size: Size;
  readonly image: Image | undefined;
  readonly mask: Image | undefined;
  /** Share of the steps that redraw `image`; `undefined` for pipelines that begin with noise alone. */
  readonly strength: number | undefined;
  readonly controls: readonly ControlPlan[];
  readonly settings: DrawingSettings;
  readonly rng: Rng;
  readonly inversions: readonly TextualInversion[];
}

/** A refiner, and the timestep it takes over at. */
export interface RefinerPlan {
  readonly unet: DrawnUnet;
  readonly split: RefinerSplit;
}

/** A ControlNet with its conditioning image. */
export interface ControlPlan extends FoundControlNet, ControlStrength {
  readonly image: Image;
}

/** Default strength of the pipelines that have one: Apple's, and for inpainting that of diffusers (0.9999 in its pipeline for XL). */
const strengths: { readonly [P in PipelineKind]?: number } = { 'image to image': 0.5, inpainting: 1 };

/** Default image guidance scale. */
export const IMAGE_GUIDANCE = 1.5;

/** Plans the drawings of a request in the folder that it names. Throws as `planIn`. */
export async function planDrawings(request: GenerateRequest, context: Context): Promise<Drawing[]> {
  return planIn(await findDrawingFolder(request.input, unetsFor(request)), request, context);
}

function unetsFor({ controlnets, refinerStart }: GenerateRequest): readonly DrawingUnet[] {
  if (controlnets.length > 0) return ['control-unet'];
  return refinerStart === undefined ? ['unet', 'refiner'] : ['unet'];
}

/**
 * Finds and checks everything that a request needs, and plans a drawing for each prompt, seed and scheduler; loads no network. Drawings
 * of several folders may share what is `loaded`. Throws what `generate` throws for a bad request.
 */
export async function planIn(
  folder: DrawingFolder,
  request: GenerateRequest,
  context: Context,
  loaded?: LoadedNetwork,
): Promise<Drawing[]> {
  checkNumbers(request);
  const network = chooseUnet(folder, unetsFor(request));
  const { hasOneText, version } = await factsOfText(folder.models.get('text_encoder')?.paths ?? []);
  if (hasOneText) refuseInside(request);
  const unet = await readDrawnUnet(requireModel(folder, network), hasOneText);
  const pipeline = choosePipeline(unet, request);
  refuseSizes(unet, request);
  const pictures = await readPictures(folder, unet, request);
  const size = drawnSize(unet, { ...request, pictures: sizesOf(request, pictures) });
  const settings = await readSettings(folder, unet.family, context);
  const versions = await requireModels({ folder, unet, pipeline, size, settings, request });
  const origins: ReadonlyMap<NetworkName, string | undefined> = new Map([
    [network, unet.version],
    ['text_encoder', version],
    ...versions,
  ]);
  await noteOrigins(origins, folder.output, context);
  await noteUnlikeRecord(pathsOf(folder, [...origins.keys()]), context);
  const schedulers = chooseSchedulers(request, settings);
  const strength = request.strength ?? strengths[pipeline];
  const schedules = schedulers.map(({ scheduler, newScheduler }) => {
    const made = newScheduler();
    const timesteps = strength === undefined ? made.timesteps : timestepsLeft(made, request.steps, strength);
    return { scheduler, made, timesteps };
  });
  if (unet.hasWholeTimesteps) noteRounded(schedules, context);
  const refiner = await planRefiner({ request, folder, unet, settings, schedules, network }, context);
  const inversions = await readTextualInversions(request.textualInversions);
  noteUnused(inversions, request, context);
  const guidance = guidanceFor(unet, pipeline, request);
  const networks = new Networks(folder, request, loaded);
  const common = {
    ...{ folder, networks, unet, network, refiner, pipeline, guidance, size },
    request: withoutUnused(request, { guidance, refiner }, context),
    ...{ ...pictures, strength, settings, inversions },
  };
  const seeds = seedsOf(request, context);
  const drawings = [request.prompt].flat().flatMap((prompt) =>
    seeds.flatMap((seed) =>
      schedulers.map((scheduler) => {
        const rng = createRng(request.rng, seed);
        return { ...common, ...scheduler, prompt, seed, rng };
      }),
    ),
  );
  await makeFolder(request.output);
  return drawings;
}

/** Where networks lie, each of its chunks. */
function pathsOf({ models }: DrawingFolder, networks: readonly NetworkName[]): string[] {
  return networks.flatMap((network) => models.get(network)?.paths ?? []);
}

/** Throws `RequestError` for what is inside of the models of Stable Diffusion XL as Core AI has it. */
function refuseInside(request: GenerateRequest): void {
  const asked: Readonly<Record<string, boolean>> = {
    '--clip-skip': request.clipSkip > 0,
    '--textual-inversion': request.textualInversions.length > 0,
    '--prompt-weights': request.promptWeights,
    '--original-size': request.originalSize !== undefined,
    '--crop': request.crop.some((side) => side !== 0),
  };
  const [option] = Object.keys(asked).filter((name) => asked[name]);
  if (option === undefined) return;
  throw new RequestError({
    problem: `${option} changes what Stable Diffusion XL for Core AI has inside of its models.`,
    advice: `Leave it out, or convert with --target onnx as well, and draw with that.`,
  });
}

/** Throws `RequestError` for sizes that only Stable Diffusion XL is conditioned on. */
function refuseSizes({ family }: DrawnUnet, { originalSize, crop }: GenerateRequest): void {
  const isXl = family === 'sdxl' || family === 'sdxl-refiner';
  if (isXl || (originalSize === undefined && crop.every((side) => side === 0))) return;
  throw new RequestError({
    problem: `only Stable Diffusion XL is told an original size and a crop; this is ${familyTitles[family]}.`,
    advice: 'Leave out --original-size and --crop.',
  });
}

type Pictures = Pick<Drawing, 'image' | 'mask' | 'controls'>;

async function readPictures(
  folder: DrawingFolder,
  unet: DrawnUnet,
  { image, mask, controlnets }: GenerateRequest,
): Promise<Pictures> {
  const controls: ControlPlan[] = [];
  for (const each of controlnets) {
    const found = await findControlNet(folder, each.name, unet);
    controls.push({ ...found, ...strengthOf(each), image: await readPicture(each.image) });
  }
  return {
    image: image === undefined ? undefined : await readPicture(image),
    mask: mask === undefined ? undefined : await readPicture(mask),
    controls,
  };
}

function strengthOf({ name, scale = 1, start = 0, end = 1 }: ControlNetRequest): ControlStrength {
  if (start >= 0 && start < end && end <= 1) return { scale, start, end };
  throw new RequestError({
    problem: `the ControlNet ${name} cannot apply from ${start} to ${end} of the steps.`,
    details: { expected: 'start and end from 0 to 1, the start below the end', found: `${start} and ${end}` },
  });
}

function sizesOf({ image, mask, controlnets }: GenerateRequest, pictures: Pictures) {
  const named = [
    [image, pictures.image] as const,
    [mask, pictures.mask] as const,
    ...controlnets.map((each, i) => [each.image, pictures.controls[i]?.image] as const),
  ];
  return named.flatMap(([path, picture]) =>
    path !== undefined && picture ? [{ path, size: [picture.height, picture.width] as const }] : [],
  );
}

/**
 * The checkpoints that the VAE's models say they are of. Throws `NotFoundError` for a missing network, `RequestError` for a VAE of another
 * size, or of one that leaves no room for tiles.
 */
async function requireModels({
  folder,
  unet,
  pipeline,
  size,
  settings: { vaePixels },
  request: { vaeTiling },
}: Pick<Drawing, 'folder' | 'unet' | 'pipeline' | 'size' | 'settings' | 'request'>) {
  const vae: readonly NetworkName[] =
    pipeline === 'text to image' ? ['vae_decoder'] : ['vae_encoder', 'vae_decoder'];
  for (const network of [...textEncodersOf(unet), ...vae]) requireModel(folder, network);
  const versions = new Map<NetworkName, string | undefined>();
  for (const network of vae) {
    const model = requireModel(folder, network);
    const factor = network === 'vae_encoder' ? PIXELS : 1;
    const { shapes, version } = await inputsOf(model);
    versions.set(network, version);
    const [, , ...sides] = [...shapes.values()][0] ?? [];
    const isFixed = (side: number | string) => typeof side === 'number';
    if (!sides.every((side, i) => !isFixed(side) || side === (size[i] ?? 0) * factor))
      throw new RequestError({
        problem: `${model.paths[0]} was converted for another size than the picture to draw.`,
        details: {
          expected: `${size.map((side) => side * factor).join(' × ')} (height × width)`,
          'it takes': sides.join(' × '),
        },
        advice: 'Convert it again together with the UNet.',
      });
    const tile = (vaePixels / PIXELS) * factor;
    if (vaeTiling && sides.some(isFixed) && size.some((side) => side * factor > tile))
      throw new RequestError({
        problem: `${model.paths[0]} was converted for one size, and takes no tiles.`,
        details: { 'it takes': sides.join(' × '), 'a tile has': `${tile} × ${tile}` },
        advice: 'Leave out --vae-tiling, or use an ONNX conversion, which takes any size.',
      });
  }
  return versions;
}

/** A scheduler, and the timesteps of it that the pipeline runs. */
interface Schedule {
  readonly scheduler: SchedulerName;
  readonly made: Scheduler;
  readonly timesteps: readonly number[];
}

async function planRefiner(
  {
    request: { refinerStart },
    folder,
    unet,
    network,
    settings,
    schedules,
  }: Pick<Drawing, 'request' | 'folder' | 'unet' | 'settings' | 'network'> & {
    readonly schedules: readonly Schedule[];
  },
  { onProgress }: Context,
): Promise<RefinerPlan | undefined> {
  if (refinerStart === undefined) {
    if (network === 'unet' && folder.models.has('refiner'))
      onProgress?.({
        type: 'note',
        message: 'the refiner is not used: --refiner-start 0.8 lets it run the last fifth of the steps.',
      });
    return undefined;
  }
  if (unet.family !== 'sdxl')
    throw new RequestError({
      problem: 'only Stable Diffusion XL has a refiner.',
      advice: 'Leave out --refiner-start.',
    });
  const refiner = await readDrawnUnet(requireModel(folder, chooseUnet(folder, ['refiner'])), unet.hasOneText);
  const split = { refinerStart, trainSteps: Number(settings.scheduler.num_train_timesteps ?? 1000) };
  for (const schedule of schedules) checkShared(schedule, split);
  return { unet: refiner, split };
}

/** Throws `RequestError` when one of the two models would run no step. */
function checkShared({ scheduler, made, timesteps }: Schedule, split: RefinerSplit): void {
  const { refinerStart } = split;
  const base = baseTimesteps(timesteps, split).length;
  const refiner = refinerTimesteps(made, split).length;
  if (refinerStart > 0 && refinerStart < 1 && base > 0 && refiner > 0) return;
  const isPart = timesteps.length < made.timesteps.length;
  throw new RequestError({
    problem: `a refiner that starts at ${refinerStart} leaves no step for one of the two models.`,
    details: {
      expected: 'above 0, below 1, and a step for each model',
      found: `${refinerStart}: ${base} for the base model, ${refiner} for the refiner (${shortName(scheduler)})`,
    },
    advice: isPart
      ? 'Use a larger --strength (the base model runs what it leaves before the refiner starts), or --refiner-start 0.8.'
      : 'Use --refiner-start 0.8, or more steps.',
  });
}

function guidanceFor(
  { guidanceChannels }: DrawnUnet,
  pipeline: PipelineKind,
  { guidanceScale, imageGuidanceScale = IMAGE_GUIDANCE }: GenerateRequest,
): Guidance {
  if (pipeline === 'image editing') return editingGuidance(guidanceScale, imageGuidanceScale);
  return guidanceScale > 1 && guidanceChannels === undefined ? classifierFree(guidanceScale) : unguided;
}

/** The seeds that were asked for; else a random one, which every random number generator accepts and a note tells. */
function seedsOf({ seed: asked }: GenerateRequest, { onProgress }: Context): readonly number[] {
  if (asked !== undefined) return [asked].flat();
  const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
  onProgress?.({
    type: 'note',
    message: `the seed is ${seed}: pass --seed ${seed} to get the same picture again.`,
  });
  return [seed];
}
