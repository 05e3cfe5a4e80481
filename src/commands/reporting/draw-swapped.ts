import { join } from 'node:path';
import type { Context } from '../../context.ts';
import { PIXELS } from '../../convert/networks/latents.ts';
import type { NetworkKind } from '../../convert/networks/networks.ts';
import { RequestError } from '../../errors.ts';
import { type DrawingFolder, findDrawingFolder, requireModel } from '../../generate/drawing-folder.ts';
import type { Image } from '../../generate/image.ts';
import { pixelsOf } from '../../generate/image-tensor.ts';
import { areFinite, lostInDecoder, lostInLatents } from '../../generate/lost-numbers.ts';
import { LoadedNetwork } from '../../generate/networks.ts';
import { makeTemporaryFolder } from '../../io/temporary-folder.ts';
import type { Card } from '../../report/card.ts';
import { differenceGain, differenceMap } from '../../report/pictures/difference.ts';
import { type EmbeddedPicture, embedded } from '../../report/pictures/embedded.ts';
import { ssim } from '../../report/pictures/ssim.ts';
import { factsOfText } from '../../run/xl-models.ts';
import { asDecibels } from '../../validate/decibels.ts';
import { compare } from '../../validate/psnr.ts';
import { convertCheckpoint } from '../convert.ts';
import { drawLatents } from '../drawing/draw-latents.ts';
import { encodePrompts } from '../drawing/encode-prompts.ts';
import { decodePicture } from '../drawing/finish-pictures.ts';
import { type Drawing, planIn } from '../drawing/plan.ts';
import { generateDefaults } from '../drawing/request.ts';
import type { ReportRequest } from './request.ts';

/** The networks that a picture passes, in order. */
const drawing = [
  'text_encoder',
  'text_encoder_2',
  'unet',
  'vae_decoder',
] as const satisfies readonly NetworkKind[];

type Network = (typeof drawing)[number];

/** A request of a report that draws. */
export interface DrawRequest extends ReportRequest {
  readonly reference: string;
  /** Whether the reference is a checkpoint, and not another conversion. */
  readonly isCheckpoint: boolean;
}

/** Pictures for a card, and what it says of them. */
export interface SwappedPictures {
  readonly facts: NonNullable<Card['pictures']>;
  readonly images: ReadonlyMap<string, EmbeddedPicture>;
}

/** A picture whose networks are the reference's, but for those that are swapped for the conversion's. */
interface Mix {
  readonly name: string;
  readonly swapped: readonly Network[];
  readonly drawing: Drawing;
}

/**
 * Draws a prompt with a checkpoint in float32, with the conversion, and with float32 but for one network of the conversion at a
 * time, all from the same noise. A checkpoint is converted to float32 for it, into a temporary folder. Throws what converting and drawing throws.
 */
export async function drawSwapped(request: DrawRequest, context: Context): Promise<SwappedPictures> {
  const temporary = await makeTemporaryFolder();
  // Their stages are steps of this one.
  const quiet: Context = context.signal ? { signal: context.signal } : {};
  const told = (what: string, done: number) =>
    context.onProgress?.({ type: 'progress', stage: 'draw', what, done, total: drawing.length + 2 });
  const loaded = new LoadedNetwork();
  try {
    told('converting the reference to float32', 0);
    const ours = await findDrawingFolder(request.folder, ['unet']);
    const exact = await exactModels(request, join(temporary.path, 'float32'), quiet);
    const reference = await findDrawingFolder(exact, ['unet']);
    const output = join(temporary.path, 'pictures');
    const mixes = await planMixes({ ...request, output }, { ours, reference, loaded }, quiet);
    const pictures = await drawMixes(mixes, quiet, told);
    const scheduler = mixes[0]?.drawing.scheduler ?? '';
    const format = ours.models.get('unet')?.format ?? 'onnx';
    return describe(request, { scheduler, format }, pictures);
  } finally {
    await loaded.close();
    await temporary.remove();
  }
}

/** The pictures to draw: all networks swapped, one at a time, none. */
async function planMixes(
  { prompt, seed, steps, guidanceScale, output }: ReportRequest & { readonly output: string },
  { ours, reference, loaded }: { ours: DrawingFolder; reference: DrawingFolder; loaded: LoadedNetwork },
  context: Context,
): Promise<Mix[]> {
  const networks = drawing.filter((network) => ours.models.has(network) && reference.models.has(network));
  // XL's text encoder and UNet for Core AI fit nobody but each other.
  const { hasOneText: isOneText } = await factsOfText(ours.models.get('text_encoder')?.paths ?? []);
  const alone = isOneText ? networks.filter((network) => network === 'vae_decoder') : networks;
  const input = reference.path;
  const request = {
    ...generateDefaults,
    input,
    output,
    prompt,
    seed,
    steps,
    guidanceScale,
    disableSafety: true,
  };
  const mixes: Mix[] = [];
  for (const [name, swapped] of [
    ['all', networks] as const,
    ...alone.map((network) => [network, [network]] as const),
    ['float32', []] as const,
  ]) {
    const models = new Map(reference.models);
    for (const network of swapped) models.set(network, requireModel(ours, network));
    // The conversion may have been made for one size: all others are drawn in it.
    const [height, width] = mixes[0]?.drawing.size.map((side) => side * PIXELS) ?? [];
    const [planned] = await planIn({ ...reference, models }, { ...request, height, width }, context, loaded);
    if (planned) mixes.push({ name, swapped, drawing: planned });
  }
  return mixes;
}

/** Draws pictures stage by stage, so that each network is loaded once for all that it draws. */
async function drawMixes(
  mixes: readonly Mix[],
  context: Context,
  told: (what: string, done: number) => void,
): Promise<Map<string, Image>> {
  // With another decoder alone, the latents are those of float32.
  const denoised = mixes.filter(({ name }) => name !== 'vae_decoder');
  const base = await inOrder(denoised, ['text_encoder', 'text_encoder_2'], async ({ drawing: own }) => {
    const conditionings = await encodePrompts(own, context);
    return conditionings.base;
  });
  const latents = await inOrder(denoised, ['unet'], async ({ name, drawing: own }, done) => {
    told(`with ${name}`, 1 + done);
    const drawn = await drawLatents(own, { base: found(base, name) }, context);
    return drawn.latents[0];
  });
  const pictures = await inOrder(mixes, ['vae_decoder'], async ({ name, drawing: own }) => {
    const drawn = found(latents, name === 'vae_decoder' ? 'float32' : name);
    const onLost = (prompt: string) => {
      const sentence = areFinite(drawn) ? lostInDecoder(prompt) : lostInLatents(prompt);
      context.onProgress?.({ type: 'note', message: `with ${name}: ${sentence}` });
    };
    return own.networks.use('vae_decoder', (decoder) => decodePicture(own, decoder, drawn, onLost));
  });
  return new Map(mixes.map(({ name }) => [name, found(pictures, name)]));
}

/** Does work for all mixes, those first that swap none of these networks; gives what came of it, by name. */
async function inOrder<T>(
  mixes: readonly Mix[],
  networks: readonly Network[],
  work: (mix: Mix, done: number) => Promise<T>,
): Promise<Map<string, T>> {
  const swapped = (mix: Mix): number => mix.swapped.filter((network) => networks.includes(network)).length;
  const results = new Map<string, T>();
  for (const mix of mixes.toSorted((a, b) => swapped(a) - swapped(b)))
    results.set(mix.name, await work(mix, results.size));
  return results;
}

function found<T>(results: ReadonlyMap<string, T | undefined>, name: string): T {
  const result = results.get(name);
  if (result === undefined) throw new Error(`${name} was not drawn`);
  return result;
}

/** The folder of the reference’s models: a checkpoint is converted to float32 first. */
async function exactModels(
  { reference, isCheckpoint, variant }: DrawRequest,
  output: string,
  context: Context,
): Promise<string> {
  if (!isCheckpoint) return reference;
  const models = ['text_encoder', 'unet', 'vae_decoder'] as const;
  await convertCheckpoint(
    { modelVersion: reference, variant, output, targets: ['onnx'], precision: 'float32', models },
    context,
  );
  return output;
}

function describe(
  { prompt, seed, steps, guidanceScale }: ReportRequest,
  how: Pick<SwappedPictures['facts'], 'scheduler' | 'format'>,
  pictures: ReadonlyMap<string, Image>,
): SwappedPictures {
  const exact = pictures.get('float32');
  if (!exact) throw new Error('the reference was not drawn');
  const others = [...pictures].filter(([name]) => name !== 'float32');
  const gain = differenceGain(
    exact,
    others.map(([, image]) => image),
  );
  const maps = others.map(([name, image]): [string, Image] => [
    `${name} difference`,
    differenceMap(exact, image, gain),
  ]);
  const images = embedded(new Map([...pictures, ...maps]));
  const named = (name: string) => {
    const found = images.get(name);
    if (!found) throw new Error(`${name} is not embedded`);
    const { width, height, scale } = found;
    return { name, width, height, scale };
  };
  const swapped = others.map(([network, image]) => ({
    network,
    psnr: asDecibels(compare(pixelsOf(exact), pixelsOf(image)).psnr),
    ssim: ssim(exact, image),
    picture: named(network),
    difference: named(`${network} difference`),
  }));
  return {
    facts: { prompt, seed, steps, guidanceScale, ...how, gain, reference: named('float32'), swapped },
    images,
  };
}

/** Throws `RequestError` where pictures are asked for and there is no checkpoint to draw with. */
export function refusePictures({ pictures, reference }: ReportRequest): void {
  if (!pictures || reference !== undefined) return;
  throw new RequestError({
    problem: 'pictures are compared with those of a reference, and there is none.',
    advice: 'Name the checkpoint that was converted: --reference ./stable-diffusion-v1-5.',
  });
}

/** Throws `RequestError` for a UNet that needs more than a prompt. */
export function refuseOtherTasks(task: string | null | undefined): void {
  if (!task || task.startsWith('text to image')) return;
  throw new RequestError({
    problem: `a report draws from a prompt alone, and this checkpoint was trained for ${task}.`,
    advice: 'Leave out --pictures, and compare pictures of sdconvert generate.',
  });
}
