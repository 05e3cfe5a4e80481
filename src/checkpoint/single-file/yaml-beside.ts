import { basename } from 'node:path';
import { parseDocument } from 'yaml';
import { FileFormatError } from '../../errors.ts';
import { exists, lookAtFile, readText } from '../../io/disk.ts';
import { isJsonObject } from '../../io/python-json.ts';
import type { PredictionType } from './prediction.ts';

/**
 * The configuration of the original code that lies beside a single file under the same name (`model.yaml` beside
 * `model.safetensors`), as A1111 and ComfyUI read it: often nothing else says that a UNet predicts v.
 */
export interface OriginalConfig {
  /** Its name, for messages. */
  readonly file: string;
  /** What the UNet predicts, where it is said. */
  readonly prediction: PredictionType | undefined;
  /** Whether the noise schedule ends at zero signal. */
  readonly zeroSnr: boolean;
  /** Height and width of the latents, where it is another size than every such file says. */
  readonly latentSize: number | undefined;
  /** What latents are multiplied by. */
  readonly scaleFactor: number | undefined;
  /** Attention heads of the UNet: of all levels, or channels of each. */
  readonly heads: number | undefined;
  readonly headChannels: number | undefined;
  /** Whether a ControlNet's results are averaged over the picture. */
  readonly isPooled: boolean;
}

/** No such configuration is longer. */
const MOST_BYTES = 1 << 20;

/** What most of these files say, whatever their pictures' size; smaller ones are those of other stages of training. */
const USUAL_SIZE = 64;

/**
 * Reads the configuration beside a file; `undefined` where there is none. Throws `FileFormatError` for what is no YAML, or
 * wants to make objects: such tags are never followed.
 */
export async function configBeside(path: string): Promise<OriginalConfig | undefined> {
  const file = path.replace(/\.[^./\\]+$/, '.yaml');
  if (file === path || !(await exists(file))) return undefined;
  const { size = 0 } = (await lookAtFile(file)) ?? {};
  if (size > MOST_BYTES) throw notAConfig(file, `it is ${size} bytes long`);
  return factsIn(readYaml(await readText(file), file), basename(file));
}

/** A YAML text as plain data: no tag makes anything, and aliases cannot multiply it. */
function readYaml(text: string, file: string): unknown {
  const document = parseDocument(text, { schema: 'core', logLevel: 'silent' });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw notAConfig(file, problem.message.split('\n')[0] ?? '');
  try {
    return document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw notAConfig(file, error instanceof Error ? error.message : String(error));
  }
}

function factsIn(root: unknown, file: string): OriginalConfig {
  const at = (...path: readonly string[]): unknown => {
    let value = root;
    for (const key of path) value = isJsonObject(value) ? value[key] : undefined;
    return value;
  };
  const inModel = (...path: readonly string[]) => at('model', 'params', ...path);
  const unet = (key: string) =>
    number(inModel('unet_config', 'params', key) ?? inModel('network_config', 'params', key));
  const size = number(inModel('image_size'));
  const heads = unet('num_heads');
  return {
    file,
    prediction: predictionIn(inModel),
    zeroSnr:
      inModel('zero_snr') === true || inModel('zero_terminal_snr') === true || inModel('ztsnr') === true,
    latentSize: size !== undefined && size > USUAL_SIZE ? size : undefined,
    scaleFactor: number(inModel('scale_factor')),
    heads: heads !== undefined && heads > 0 ? heads : undefined,
    headChannels: unet('num_head_channels'),
    isPooled: inModel('global_average_pooling') === true,
  };
}

/** In Latent Diffusion's configurations the parameterization, in SGM's the class that scales the denoiser. */
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

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function notAConfig(file: string, found: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not the configuration of a model.`,
    details: { expected: 'YAML of plain values', found },
    advice: 'Remove it, or take it from where the weights come from; nothing in it was run.',
  });
}
