import { basename, join } from 'node:path';
import type { Context } from '../../context.ts';
import type { NetworkKind } from '../../convert/networks/networks.ts';
import { RequestError } from '../../errors.ts';
import { type DrawingFolder, findDrawingFolder, requireModel } from '../../generate/drawing-folder.ts';
import { readSettings } from '../../generate/drawing-settings.ts';
import { readDrawnUnet } from '../../generate/drawn-unet.ts';
import type { Image } from '../../generate/image.ts';
import { imageFromTensor, pixelsOf } from '../../generate/image-tensor.ts';
import type { OnStep } from '../../generate/pipelines/denoise.ts';
import { decodePng } from '../../generate/png.ts';
import { decodeLatents } from '../../generate/run-networks.ts';
import { exists, linkFile, makeFolder, makeTemporaryFolder, readBytes } from '../../io/disk.ts';
import { linkFolder } from '../../io/link-folder.ts';
import type { Card } from '../../report/card.ts';
import { asDecibels } from '../../report/decibels.ts';
import { differenceGain, differenceMap } from '../../report/pictures/difference.ts';
import { type EmbeddedPicture, embedded } from '../../report/pictures/embedded.ts';
import { ssim } from '../../report/pictures/ssim.ts';
import type { ModelInFolder } from '../../run/find-models.ts';
import { openNetwork } from '../../run/open-network.ts';
import { compare } from '../../validate/psnr.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { convertCheckpoint } from '../convert.ts';
import type { DrawnPicture } from '../drawing/finish-pictures.ts';
import { generate } from '../generate.ts';
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

/**
 * Draws a prompt with a checkpoint in float32, with the conversion, and with float32 but for one network of the conversion at a
 * time, all from the same noise. A checkpoint is converted to float32 for it, into a temporary folder. Throws what converting and drawing throws.
 */
export async function drawSwapped(request: DrawRequest, context: Context): Promise<SwappedPictures> {
  const temporary = await makeTemporaryFolder();
  // Their stages are steps of this one.
  const quiet: Context = context.signal ? { signal: context.signal } : {};
  try {
    const exact = join(temporary.path, 'float32');
    const told = (what: string, done: number) =>
      context.onProgress?.({ type: 'progress', stage: 'draw', what, done, total: drawing.length + 2 });
    told('converting the reference to float32', 0);
    const ours = await findDrawingFolder(request.folder, ['unet']);
    const reference = await findDrawingFolder(await exactModels(request, exact, quiet), ['unet']);
    const pictures = new Map<string, Image>();
    // The conversion may have been made for one size: all others are drawn in it.
    let drawn: DrawnPicture | undefined;
    let latents: TensorData<'f32'> | undefined;
    const draw = async (name: string, input: string) => {
      told(`with ${name}`, pictures.size + 1);
      const output = join(temporary.path, 'pictures', name);
      const { prompt, seed, steps, guidanceScale } = request;
      const size = drawn && { width: drawn.width, height: drawn.height };
      const settings = { prompt, seed, steps, guidanceScale, disableSafety: true, ...size };
      const onStep: OnStep = ([each]) => {
        latents = each;
      };
      const [image] = await generate({ ...settings, input, output, onStep }, quiet);
      if (image?.kind !== 'picture') throw new Error('nothing was drawn');
      drawn ??= image;
      pictures.set(name, decodePng(await readBytes(image.path), image.path));
    };
    const networks = drawing.filter((network) => ours.models.has(network) && reference.models.has(network));
    const mixed = (name: string, swapped: readonly Network[]) =>
      mixedFolder(join(temporary.path, 'mixed', name), reference, ours, swapped);
    await draw('all', await mixed('all', networks));
    for (const network of networks)
      if (network !== 'vae_decoder') await draw(network, await mixed(network, [network]));
    await draw('float32', reference.path);
    // The decoder comes last, so the steps before it are those of float32.
    if (latents && networks.includes('vae_decoder'))
      pictures.set('vae_decoder', await decodeWith(ours, reference, latents));
    return describe(
      request,
      { scheduler: drawn?.scheduler ?? '', format: ours.models.get('unet')?.format ?? 'onnx' },
      pictures,
    );
  } finally {
    await temporary.remove();
  }
}

/** Decodes latents of the reference with the conversion’s decoder. */
async function decodeWith(
  ours: DrawingFolder,
  reference: DrawingFolder,
  latents: TensorData<'f32'>,
): Promise<Image> {
  const { family } = await readDrawnUnet(requireModel(reference, 'unet'));
  const { latentScale } = await readSettings(reference, family, {});
  const decoder = await openNetwork(requireModel(ours, 'vae_decoder').paths, { optimize: true });
  try {
    const { shape, data } = await decodeLatents(decoder, latents, latentScale);
    const [, , height = 0, width = 0] = shape;
    return imageFromTensor(data, width, height);
  } finally {
    await decoder.close();
  }
}

/** The folder of the reference’s models: a checkpoint is converted to float32 first. */
async function exactModels(
  { reference, isCheckpoint, hub }: DrawRequest,
  output: string,
  context: Context,
): Promise<string> {
  if (!isCheckpoint) return reference;
  const models = ['text_encoder', 'unet', 'vae_decoder'] as const;
  await convertCheckpoint(
    { modelVersion: reference, hub, output, targets: ['onnx'], precision: 'float32', models },
    context,
  );
  return output;
}

/** A folder with the models of the reference, but for these networks, which are those of the conversion; all are links. */
async function mixedFolder(
  folder: string,
  reference: DrawingFolder,
  ours: DrawingFolder,
  swapped: readonly Network[],
): Promise<string> {
  await makeFolder(folder);
  for (const network of drawing) {
    const from: ModelInFolder | undefined = (swapped.includes(network) ? ours : reference).models.get(
      network,
    );
    for (const path of from?.paths ?? []) await linkFolder(path, join(folder, basename(path)));
  }
  // What is not a model: tokenizers, scheduler, settings.
  for (const name of ['tokenizer', 'tokenizer_2', 'scheduler'])
    if (await exists(join(reference.path, name)))
      await linkFolder(join(reference.path, name), join(folder, name));
  const record = join(reference.output, 'sdconvert.json');
  if (await exists(record)) await linkFile(record, join(folder, 'sdconvert.json'));
  return folder;
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
