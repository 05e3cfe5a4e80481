import { basename } from 'node:path';
import { FileFormatError } from '../../errors.ts';
import { exists, lookAtFile, readText } from '../../io/disk.ts';
import { shown } from '../../io/error-text.ts';
import { isJsonObject } from '../../io/json/python-json.ts';
import type { PredictionType } from './prediction.ts';

/**
 * Facts of the original YAML config beside a single file (`model.yaml` beside `model.safetensors`), which A1111 and
 * ComfyUI read, too: often nothing else shows that a UNet predicts v.
 */
export interface OriginalConfig {
  /** File name, for messages. */
  readonly file: string;
  /** Its path, for errors. */
  readonly path: string;
  /** Prediction type of the UNet; `undefined` where the file has none. */
  readonly prediction: PredictionType | undefined;
  /** Whether the noise schedule ends at zero signal. */
  readonly zeroSnr: boolean;
  /** Height and width of the latents, where larger than the usual 64. */
  readonly latentSize: number | undefined;
  /** Scaling factor of the latents. */
  readonly scaleFactor: number | undefined;
  /** Attention heads of the UNet: their number at all levels, or the channels of each head. */
  readonly heads: number | undefined;
  readonly headChannels: number | undefined;
  /** Whether a ControlNet's residuals are averaged over the picture (shuffle). */
  readonly isPooled: boolean;
}

/** Larger files are not configs. */
const MOST_BYTES = 1 << 15;

const MOST_ALIASES = 50;

/**
 * Most of these files have this size, whatever the size of their pictures; smaller sizes are from other training
 * stages.
 */
const USUAL_SIZE = 64;

/**
 * Reads the YAML config beside a file; `undefined` where there is none. Throws `FileFormatError` for invalid YAML, and
 * for YAML with tags that would create objects; they are never followed.
 */
export async function configBeside(path: string): Promise<OriginalConfig | undefined> {
  const file = path.replace(/\.[^./\\]+$/, '.yaml');
  if (file === path || !(await exists(file))) return undefined;
  const { size = 0 } = (await lookAtFile(file)) ?? {};
  if (size > MOST_BYTES) throw notAConfig(file, `it is ${size} bytes long`);
  return factsIn(await readYaml(await readText(file), file), file);
}

/** Loads the parser of YAML for the few files that have such a config: every command would wait for it. */
async function readYaml(text: string, file: string): Promise<unknown> {
  const { parseYaml, YamlProblem } = await import('../../io/yaml.ts');
  try {
    return parseYaml(text, MOST_ALIASES).value;
  } catch (error) {
    if (error instanceof YamlProblem) throw notAConfig(file, error.message);
    throw error;
  }
}

function factsIn(root: unknown, path: string): OriginalConfig {
  const at = (...path: readonly string[]): unknown => {
    let value = root;
    for (const key of path) value = isJsonObject(value) ? value[key] : undefined;
    return value;
  };
  const inModel = (...path: readonly string[]) => at('model', 'params', ...path);
  const number = (key: string, value: unknown): number | undefined => {
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw notAConfig(path, `${key} = ${shown(value)}`, 'a number');
  };
  const unet = (key: string) =>
    number(key, inModel('unet_config', 'params', key) ?? inModel('network_config', 'params', key));
  const size = number('image_size', inModel('image_size'));
  const heads = unet('num_heads');
  return {
    file: basename(path),
    path,
    prediction: predictionIn(inModel),
    zeroSnr:
      inModel('zero_snr') === true || inModel('zero_terminal_snr') === true || inModel('ztsnr') === true,
    latentSize: size !== undefined && size > USUAL_SIZE ? size : undefined,
    scaleFactor: number('scale_factor', inModel('scale_factor')),
    heads: heads !== undefined && heads > 0 ? heads : undefined,
    headChannels: unet('num_head_channels'),
    isPooled: inModel('global_average_pooling') === true,
  };
}

/** Prediction type: the parameterization in Latent Diffusion's configs, the class of the denoiser's scaling in SGM's. */
function predictionIn(inModel: (...path: readonly string[]) => unknown): PredictionType | undefined {
  const stated = inModel('parameterization');
  if (stated === 'v') return 'v_prediction';
  if (stated === 'eps') return 'epsilon';
  const scaling = ['scaling_config', 'weighting_config'].map((key) =>
    inModel('denoiser_config', 'params', key, 'target'),
  );
  if (scaling.some((target) => typeof target === 'string' && /\bVScaling(WithEDMcNoise)?$/.test(target)))
    return 'v_prediction';
  return scaling.some((target) => typeof target === 'string' && /\bEpsScaling$/.test(target))
    ? 'epsilon'
    : undefined;
}

function notAConfig(file: string, found: string, expected = 'YAML of plain values'): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not the configuration of a model.`,
    details: { expected, found },
    advice: 'Remove it, or take it from the same source as the weights; nothing in it was run.',
  });
}
