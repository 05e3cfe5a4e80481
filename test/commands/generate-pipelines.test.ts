import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { GenerateOptions } from '../../src/commands/drawing/request.ts';
import { generate } from '../../src/commands/generate.ts';
import { findDrawingFolder } from '../../src/generate/drawing-folder.ts';
import { readSettings } from '../../src/generate/drawing-settings.ts';
import { Networks } from '../../src/generate/networks.ts';
import { encodePng } from '../../src/generate/png.ts';
import { decodeLatents } from '../../src/generate/run-networks.ts';
import { psnr } from '../../src/validate/psnr.ts';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor, type TensorData } from '../../src/weights/tensor-data.ts';
import { convertDrawingCheckpoint, type DrawingCheckpoint, SIDE } from '../support/drawing-checkpoints.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

// Whole runs of diffusers' pipelines, step by step (test/python/record_pipelines.py).

const goldens = join(import.meta.dirname, '../goldens/pipelines');
const temporary = temporaryFolder();

/** ‖difference‖ / ‖latents‖ after any step: float32 rounding, through a few steps. Measured: 4e-7 … 8e-6. */
const LATENTS_TOLERANCE = 1e-3;

/** Of decoded pictures, before they are rounded to bytes. Measured: 87 … 91 dB, the rounding of the recordings to float16. */
const PICTURE_PSNR = 60;

type Asked = Partial<GenerateOptions>;

/** What is drawn with each checkpoint: the recording, and what generate is asked for beside what it says. */
const recordings: { readonly [C in DrawingCheckpoint]: Readonly<Record<string, Asked>> } = {
  plain: {
    masked: {},
    masked_part: {},
    masked_heun: {},
    two_pictures: { imageCount: 2 },
    control: {},
    control_two: {},
    control_image: {},
  },
  inpainting: { inpainting: {}, inpainting_part: {}, control_masked: {} },
  pix2pix: { edited: {}, edited_unguided: {} },
  lcm: { lcm: {}, lcm_image: {} },
  xl: { xl_masked: {}, turbo: {}, xl_control: {}, xl_refined: {}, xl_refined_heun: {} },
  refiner: { refiner_alone: {} },
  xlInpainting: { xl_inpainting: {}, xl_inpainting_part: {} },
  xlPix2pix: { xl_edited: {} },
  cosXlEdit: { xl_edited_cos: {} },
  statistics: { statistics: {} },
};

describe.each(['onnx', 'coreml', 'coreai'] as const)(
  'in %s, every pipeline takes the steps that diffusers takes:',
  (target) => {
    // as: Object.keys gives strings; the table has exactly these keys.
    describe.each(Object.keys(recordings) as DrawingCheckpoint[])('%s', (checkpoint) => {
      let input = '';
      beforeAll(async () => {
        input = await convertDrawingCheckpoint(temporary(target), checkpoint, { target });
      });

      test.each(Object.entries(recordings[checkpoint]))('%s', async (name, asked) => {
        const { tensors, request } = await readRecording(name);
        const steps = await draw(input, request, asked);
        expect(Math.max(...errors(need(tensors, 'latents'), steps))).toBeLessThan(LATENTS_TOLERANCE);
        const picture = tensors.get('decoded');
        const [first] = steps.at(-1) ?? [];
        if (picture && first)
          expect(psnr(picture.data, (await decode(input, first)).data)).toBeGreaterThan(PICTURE_PSNR);
      });
    });
  },
);

/** Of pictures drawn in float16. Measured: 63 … 77 dB. */
const HALF_PICTURE_PSNR = 40;

describe.each(['onnx', 'coreml'] as const)('in float16, %s draws close to float32:', (target) => {
  test.each<[DrawingCheckpoint, readonly string[]]>([
    ['plain', ['masked_part', 'control_two']],
    ['xl', ['turbo', 'xl_control', 'xl_refined']],
    ['statistics', ['statistics']],
  ])('%s: %j', async (checkpoint, names) => {
    const how = { target, precision: 'float16' } as const;
    const input = await convertDrawingCheckpoint(temporary('half'), checkpoint, how);
    for (const name of names) {
      const { tensors, request } = await readRecording(name);
      const [picture] = (await draw(input, request, {})).at(-1) ?? [];
      if (!picture) throw new Error('nothing was drawn');
      const decoded = await decode(input, picture);
      expect(psnr(need(tensors, 'decoded').data, decoded.data), name).toBeGreaterThan(HALF_PICTURE_PSNR);
    }
  });
});

type Latents = readonly TensorData<'f32'>[];

/** The latents of every picture after every step. */
async function draw(input: string, request: Recorded, asked: Asked): Promise<Latents[]> {
  const folder = await findDrawingFolder(input, ['unet', 'refiner']);
  mkdirSync(join(folder.path, 'scheduler'), { recursive: true });
  writeFileSync(join(folder.path, 'scheduler/scheduler_config.json'), JSON.stringify(request.scheduler));
  const { image, mask, ...controls } = await writePictures();
  const steps: Latents[] = [];
  const given = new Set(request.pictures);
  await generate({
    input,
    output: temporary('pictures'),
    prompt: request.prompt,
    negativePrompt: request.negative_prompt,
    guidanceScale: request.guidance_scale,
    seed: request.seed,
    steps: request.steps,
    rng: 'torch',
    height: SIDE,
    width: SIDE,
    image: given.has('image') ? image : undefined,
    mask: given.has('mask') ? mask : undefined,
    strength: request.strength,
    imageGuidanceScale: request.image_guidance_scale,
    refinerStart: request.refiner_start,
    controlnets: (request.scales ?? []).map((scale, i) => ({
      name: i === 0 ? 'controlnet' : `controlnet_${i}`,
      image: (i === 0 ? controls.control : controls.control_1) ?? '',
      scale,
      start: request.starts?.[i],
      end: request.ends?.[i],
    })),
    onStep: (latents) => void steps.push(latents),
    ...asked,
  });
  return steps;
}

async function decode(input: string, latents: TensorData<'f32'>): Promise<TensorData<'f32'>> {
  const folder = await findDrawingFolder(input, ['unet', 'refiner']);
  const { latentScale } = await readSettings(folder, 'sdxl', {});
  const networks = new Networks(folder, { reduceMemory: true });
  return networks.use('vae_decoder', (decoder) => decodeLatents(decoder, latents, latentScale));
}

/** Of each step, ‖difference‖ / ‖recorded‖. */
function errors({ data }: TensorData<'f32'>, steps: readonly Latents[]): number[] {
  const size = data.length / steps.length;
  return steps.map((pictures, step) => {
    const found = pictures.flatMap((picture) => [...picture.data]);
    expect(found).toHaveLength(size);
    const recorded = data.subarray(step * size, (step + 1) * size);
    const difference = recorded.map((value, i) => value - (found[i] ?? Number.NaN));
    return Math.hypot(...difference) / Math.hypot(...recorded);
  });
}

/** What diffusers was asked for. */
interface Recorded {
  readonly prompt: string;
  readonly negative_prompt: string;
  readonly guidance_scale: number;
  readonly seed: number;
  readonly steps: number;
  readonly scheduler: object;
  readonly pictures: readonly string[];
  readonly strength?: number;
  readonly image_guidance_scale?: number;
  readonly refiner_start?: number;
  readonly scales?: readonly number[];
  readonly starts?: readonly number[];
  readonly ends?: readonly number[];
}

async function readRecording(name: string) {
  const file = await openSafetensors(join(goldens, `${name}.safetensors`));
  const tensors = new Map<string, TensorData<'f32'>>();
  for (const [tensor, weight] of file.weights) tensors.set(tensor, await readTensor(weight, 'f32'));
  await file.close();
  // as: record_pipelines.py writes this object.
  return { tensors, request: JSON.parse(file.metadata.request ?? '{}') as Recorded };
}

/** The pictures that pipelines start from, as PNG files. */
async function writePictures(): Promise<Partial<Record<string, string>>> {
  const file = await openSafetensors(join(goldens, 'pictures.safetensors'));
  const paths: Record<string, string> = {};
  for (const [name, weight] of file.weights) {
    const { data } = await readTensor(weight, 'u8');
    const path = temporary(`${name}.png`);
    writeFileSync(path, encodePng({ width: SIDE, height: SIDE, channels: 3, data }));
    paths[name] = path;
  }
  await file.close();
  return paths;
}

function need(tensors: ReadonlyMap<string, TensorData<'f32'>>, name: string): TensorData<'f32'> {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`the recording has no ${name}`);
  return tensor;
}
