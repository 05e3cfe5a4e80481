import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { TargetName } from '../../src/formats/format.ts';
import type { Precision } from '../../src/quantize/precision.ts';

const fixtures = join(import.meta.dirname, '../fixtures');

/** A checkpoint put together from the tiny components of test/fixtures. */
interface Parts {
  readonly unet: string;
  readonly isXl?: boolean;
  readonly controlnets?: readonly string[];
  readonly refiner?: string;
  /** What its model_index.json, and the config of its VAE, have beside the usual. */
  readonly index?: object;
  readonly vae?: object;
}

/** The checkpoints that test/python/record_pipelines.py draws with. */
const drawingCheckpoints = {
  plain: { unet: 'drawing/unet', controlnets: ['drawing/controlnet', 'drawing/controlnet_1'] },
  inpainting: { unet: 'variants/inpainting/unet', controlnets: ['drawing/controlnet'] },
  pix2pix: { unet: 'variants/pix2pix/unet' },
  lcm: { unet: 'variants/lcm/unet' },
  xl: {
    unet: 'drawing/xl-unet',
    isXl: true,
    controlnets: ['drawing/xl-controlnet'],
    refiner: 'drawing/xl-refiner',
  },
  refiner: { unet: 'drawing/xl-refiner', isXl: true },
  xlInpainting: { unet: 'drawing/xl-inpainting', isXl: true },
  xlPix2pix: { unet: 'drawing/xl-pix2pix', isXl: true },
  cosXlEdit: { unet: 'drawing/xl-pix2pix', isXl: true, index: { is_cosxl_edit: true } },
  statistics: {
    unet: 'drawing/xl-unet',
    isXl: true,
    vae: {
      scaling_factor: 0.5,
      latents_mean: [-1.5, 1.75, -1.25, 2.5],
      latents_std: [8.5, 6, 6.5, 5.25],
    },
  },
} as const satisfies Readonly<Record<string, Parts>>;

/** The name of one of them. */
export type DrawingCheckpoint = keyof typeof drawingCheckpoints;

/** Side of the pictures that they draw, in pixels. */
export const SIDE = 64;

/** Converts a checkpoint with all its UNets and ControlNets, and gives the output folder. */
export async function convertDrawingCheckpoint(
  folder: string,
  name: DrawingCheckpoint,
  { target, precision = 'float32' }: { readonly target: TargetName; readonly precision?: Precision },
): Promise<string> {
  const parts: Parts = drawingCheckpoints[name];
  const { controlnets = [], refiner } = parts;
  const isRefiner = name === 'refiner';
  const [modelVersion, output] = [
    join(folder, `${name} checkpoint`),
    join(folder, `${name} ${target} ${precision}`),
  ];
  const components = {
    unet: parts.unet,
    vae: parts.isXl ? 'sdxl/vae' : 'drawing/vae',
    ...(!isRefiner && { text_encoder: parts.isXl ? 'sdxl/text_encoder' : 'drawing/text_encoder' }),
    ...(parts.isXl && { text_encoder_2: 'sdxl/text_encoder_2' }),
  };
  compose(modelVersion, components, parts);
  if (refiner) compose(`${modelVersion} refiner`, { unet: refiner });
  const latents = SIDE / 8;
  const sizes = target === 'onnx' ? {} : { latentHeight: latents, latentWidth: latents };
  const shared = { modelVersion, output, precision, targets: [target], sizes } as const;
  const more = refiner ? { refinerVersion: `${modelVersion} refiner` } : {};
  await convertCheckpoint({ ...shared, ...more, bundle: target === 'onnx' });
  if (controlnets.length > 0) {
    const paths = controlnets.map((path, i) =>
      copied(path, join(folder, `controls ${name}`, i === 0 ? 'controlnet' : `controlnet_${i}`)),
    );
    await convertCheckpoint({
      ...shared,
      models: ['unet'],
      controlledUnet: true,
      controlnets: paths,
      bundle: target === 'onnx',
    });
  }
  return output;
}

/** A diffusers folder of components. */
function compose(
  folder: string,
  components: Readonly<Record<string, string>>,
  { index: more, vae }: Pick<Parts, 'index' | 'vae'> = {},
): void {
  for (const [name, path] of Object.entries(components)) copied(path, join(folder, name));
  if (vae) {
    const config = join(folder, 'vae/config.json');
    writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...vae }));
  }
  const index = Object.keys(components).map((name) => [name, ['diffusers', name]]);
  const json = JSON.stringify({
    _class_name: components.text_encoder_2 ? 'StableDiffusionXLPipeline' : 'StableDiffusionPipeline',
    ...Object.fromEntries(index),
    ...more,
  });
  writeFileSync(join(folder, 'model_index.json'), json);
}

function copied(component: string, to: string): string {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(join(fixtures, component), to, { recursive: true });
  return to;
}
