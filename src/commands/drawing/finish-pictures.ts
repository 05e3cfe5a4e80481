import { join } from 'node:path';
import { type Context, throwIfInterrupted } from '../../context.ts';
import { PIXELS } from '../../convert/networks/latents.ts';
import type { Runner } from '../../formats/runner.ts';
import { type Judgement, judgePicture } from '../../generate/check-safety.ts';
import { contactSheet } from '../../generate/contact-sheet.ts';
import type { Image } from '../../generate/image.ts';
import { imageFromTensor } from '../../generate/image-tensor.ts';
import { areFinite, lostInDecoder, lostInLatents } from '../../generate/lost-numbers.ts';
import { pictureName } from '../../generate/picture-name.ts';
import { encodePng } from '../../generate/png.ts';
import { runInTiles } from '../../generate/run-in-tiles.ts';
import { decodeLatents } from '../../generate/run-networks.ts';
import type { SchedulerName } from '../../generate/schedulers/scheduler-names.ts';
import { writeFile } from '../../io/disk.ts';
import { withTexts } from '../../io/png-text.ts';
import { keyOf } from '../../io/same-name.ts';
import type { TensorData } from '../../weights/tensor-data.ts';
import { describeDrawing } from './describe-drawing.ts';
import type { DrawnLatents } from './draw-all.ts';
import type { Drawing } from './plan.ts';

/** A file that was written. */
interface PictureFile {
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** Seed of the run: with it the same picture is drawn again. */
  readonly seed: number;
}

/** A picture, or the state of one after a step. */
export interface DrawnPicture extends PictureFile {
  readonly kind: 'picture' | 'step';
  readonly prompt: string;
  readonly scheduler: SchedulerName;
  /** Time that the steps took for all pictures of this prompt and scheduler, without loading the UNet. */
  readonly seconds: number;
  /** Whether it is black because the safety checker found it inappropriate. */
  readonly isWithheld: boolean;
}

/** All pictures on one. */
export interface PictureSheet extends PictureFile {
  readonly kind: 'sheet';
}

/** A generated file. */
export type GeneratedImage = DrawnPicture | PictureSheet;

/** A decoded picture on its way to its file. */
interface Decoded extends Pick<DrawnPicture, 'kind' | 'isWithheld'> {
  readonly from: DrawnLatents;
  /** Among the pictures of its drawing. */
  readonly index: number;
  readonly step?: number;
  readonly image: Image & { readonly channels: 3 };
}

/** Decodes the latents, withholds what the safety checker finds, and writes pictures and sheet. Throws what running and writing throws. */
export async function finishPictures(
  drawn: readonly DrawnLatents[],
  context: Context,
): Promise<GeneratedImage[]> {
  const pictures = await withhold(await decodeAll(drawn, context), context);
  const names = new Set<string>();
  const written: GeneratedImage[] = [];
  for (const { from, index, step, image, ...picture } of pictures) {
    const { drawing, seconds } = from;
    const { seed, prompt, scheduler } = drawing;
    const path = join(drawing.request.output, nameOf(drawing, names, { index, step }));
    await write(path, image, describeDrawing([drawing], { index, step }));
    const { width, height } = image;
    written.push({ path, width, height, seed, prompt, scheduler, seconds, ...picture });
  }
  const sheet = await writeSheet(pictures.filter(({ kind }) => kind === 'picture'));
  return sheet ? [...written, sheet] : written;
}

/** Pictures first, then what they were after some steps. */
async function decodeAll(
  drawn: readonly DrawnLatents[],
  { signal, onProgress }: Context,
): Promise<Decoded[]> {
  const [first] = drawn;
  if (!first) return [];
  const note = (message: string) => onProgress?.({ type: 'note', message });
  const lost = lostPrompts(drawn);
  for (const prompt of lost) note(lostInLatents(prompt));
  return first.drawing.networks.use('vae_decoder', async (decoder) => {
    const pictures: Decoded[] = [];
    const decode = async (from: DrawnLatents, latents: readonly TensorData<'f32'>[], step?: number) => {
      for (const [index, each] of latents.entries()) {
        throwIfInterrupted(signal);
        const image = await decodePicture(from.drawing, decoder, each, (prompt) => {
          if (!lost.has(prompt)) note(lostInDecoder(prompt));
          lost.add(prompt);
        });
        const kind = step === undefined ? 'picture' : 'step';
        pictures.push({ kind, isWithheld: false, from, index, image, ...(step !== undefined && { step }) });
      }
    };
    for (const each of drawn) await decode(each, each.latents);
    for (const each of drawn) for (const { step, latents } of each.saved) await decode(each, latents, step);
    return pictures;
  });
}

/** The prompts of which a picture became numbers that are none. */
function lostPrompts(drawn: readonly DrawnLatents[]): Set<string> {
  const lost = drawn.filter(({ latents }) => !latents.every(areFinite));
  return new Set(lost.map(({ drawing: { prompt } }) => prompt));
}

/**
 * Decodes the latents of one picture, with the decoder of its drawing; `onLost` is told its prompt where that makes numbers that are
 * none. Throws what running throws.
 */
export async function decodePicture(
  { settings, request, prompt }: Drawing,
  decoder: Runner,
  latents: TensorData<'f32'>,
  onLost: (prompt: string) => void,
): Promise<Image & { readonly channels: 3 }> {
  const decode = (tile: TensorData<'f32'>) => decodeLatents(decoder, tile, settings.latentScale);
  const sizes = { input: settings.vaePixels / PIXELS, output: settings.vaePixels };
  const decoded = await (request.vaeTiling ? runInTiles(latents, sizes, decode) : decode(latents));
  if (!areFinite(decoded)) onLost(prompt);
  const { shape, data } = decoded;
  const [, , height = 0, width = 0] = shape;
  return imageFromTensor(data, width, height);
}

/** Blackens what the safety checker finds or cannot judge, if there is one and it may; notes tell it. */
async function withhold(pictures: readonly Decoded[], { onProgress }: Context): Promise<readonly Decoded[]> {
  const drawing = pictures[0]?.from.drawing;
  if (!drawing || drawing.request.disableSafety || !drawing.folder.models.has('safety_checker'))
    return pictures;
  const judgements = await drawing.networks.use('safety_checker', async (checker) => {
    const each: Judgement[] = [];
    for (const { image } of pictures) each.push(await judgePicture(checker, image));
    return each;
  });
  for (const [judgement, why] of Object.entries(withheldNotes)) {
    const count = judgements.filter((each) => each === judgement).length;
    const message = `the safety checker ${why(`${count} of ${pictures.length} pictures`)}, and --disable-safety turns it off.`;
    if (count > 0) onProgress?.({ type: 'note', message });
  }
  return pictures.map((picture, index) => {
    if (judgements[index] === 'appropriate') return picture;
    const { image } = picture;
    return { ...picture, isWithheld: true, image: { ...image, data: new Uint8Array(image.data.length) } };
  });
}

/** What is said of pictures that are withheld, by what the checker says of them. */
const withheldNotes: Readonly<Record<Exclude<Judgement, 'appropriate'>, (pictures: string) => string>> = {
  inappropriate: (pictures) => `withheld ${pictures}, which are black: another seed or prompt may help`,
  'not judged': (pictures) =>
    `gave no numbers for ${pictures}, which are black, as nobody knows what they show: its weights are damaged, convert it again`,
};

/** As `pictureName` has it; another index where two prompts begin alike, whatever their case. */
function nameOf(
  drawing: Drawing,
  taken: Set<string>,
  { index, step }: { readonly index: number; readonly step: number | undefined },
): string {
  const { request, prompt, seed, strength, scheduler } = drawing;
  const facts = {
    ...{ prompt, seed, step, strength },
    label: request.compareSchedulers.length > 0 ? scheduler.replace(/Scheduler$/, '') : undefined,
  };
  let number = request.imageCount > 1 ? index : undefined;
  let name = pictureName({ ...facts, index: number });
  while (taken.has(keyOf(name))) {
    number = (number ?? 0) + 1;
    name = pictureName({ ...facts, index: number });
  }
  taken.add(keyOf(name));
  return name;
}

/** Of compared schedulers, a row for each prompt, with names and times; otherwise as many columns as rows. */
async function writeSheet(pictures: readonly Decoded[]): Promise<PictureSheet | undefined> {
  const [drawing, ...others] = pictures.map(({ from }) => from.drawing);
  if (!drawing) return undefined;
  const { request, seed, prompt } = drawing;
  const { compareSchedulers, imageCount } = request;
  const compares = compareSchedulers.length > 0;
  if (!compares && !request.grid) return undefined;
  const columns = compares ? compareSchedulers.length * imageCount : Math.ceil(Math.sqrt(pictures.length));
  const cells = pictures.map(({ image, from }) => ({ image, ...(compares && { label: labelOf(from) }) }));
  const sheet = contactSheet(cells, columns);
  const path = join(request.output, pictureName({ prompt, seed, label: compares ? 'schedulers' : 'grid' }));
  await write(path, sheet, describeDrawing([drawing, ...others]));
  return { kind: 'sheet', path, width: sheet.width, height: sheet.height, seed };
}

function labelOf({ drawing, seconds }: DrawnLatents): string {
  const words = drawing.scheduler
    .replace(/Scheduler$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, ' ');
  return `${words.toUpperCase()} ${seconds.toFixed(1)} s`;
}

async function write(path: string, image: Decoded['image'], parameters: string): Promise<void> {
  const png = withTexts(encodePng(image), { parameters });
  await writeFile(path, (sink) => sink.write(png, 0));
}
