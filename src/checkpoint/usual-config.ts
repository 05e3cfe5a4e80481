import { isJsonObject, type JsonObject } from '../io/json/python-json.ts';
import type { Weight } from '../weights/weight.ts';
import { familyOf } from './family.ts';

/**
 * Many tools write configs, and diffusers and transformers accept several spellings of the same settings. Here each
 * config gets one spelling, the only one that other code needs to know: a number instead of a list of equal numbers,
 * defaults for missing keys, `silu` for `swish`.
 */

/**
 * Rewrites a component's config in the usual spelling. Contradictions and unknown values stay: the network's config
 * reader refuses them.
 */
export function usualConfig(
  className: string,
  config: JsonObject,
  weights: ReadonlyMap<string, Pick<Weight, 'shape'>>,
): JsonObject {
  return spellings.get(className)?.(config, weights) ?? config;
}

type Spelling = (config: JsonObject, weights: ReadonlyMap<string, Pick<Weight, 'shape'>>) => JsonObject;

const spellings: ReadonlyMap<string, Spelling> = new Map<string, Spelling>([
  ['UNet2DConditionModel', usualUnet],
  ['ControlNetModel', usualControlNet],
  ['AutoencoderKL', (config) => withSilu(config)],
  ['CLIPTextModel', usualText],
  ['CLIPTextModelWithProjection', usualText],
]);

/** diffusers' defaults, for keys that the graph depends on. */
const unetDefaults: JsonObject = {
  in_channels: 4,
  out_channels: 4,
  block_out_channels: [320, 640, 1280, 1280],
  down_block_types: ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'],
  up_block_types: ['UpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'CrossAttnUpBlock2D'],
  layers_per_block: 2,
  cross_attention_dim: 1280,
};

function usualUnet(config: JsonObject, weights: Parameters<Spelling>[1]): JsonObject {
  const usual = withEvenLists(withSilu({ ...unetDefaults, ...config }));
  const { sample_size: size } = usual;
  const isPair = Array.isArray(size) && size.length === 2;
  const [height, width] = isPair ? size : [size, size];
  if (height === undefined || height === null) return { ...usual, sample_size: sizeOfFamily(weights) };
  return height === width ? { ...usual, sample_size: height } : usual;
}

/** Size of the latents that the family was trained on. */
function sizeOfFamily(weights: Parameters<Spelling>[1]): number {
  const family = familyOf(weights);
  return family === 'sdxl' || family === 'sdxl-refiner' ? 128 : 64;
}

/** A ControlNet's config may have the number of heads under its right name, `num_attention_heads`. */
function usualControlNet(config: JsonObject): JsonObject {
  const { up_block_types: _up, out_channels: _out, ...defaults } = unetDefaults;
  const usual = withEvenLists(withSilu({ ...defaults, ...config }));
  const { num_attention_heads: heads } = usual;
  if (heads === undefined || heads === null) return usual;
  return { ...usual, attention_head_dim: heads, num_attention_heads: null };
}

/** The config of a full CLIP model contains that of its text encoder. */
function usualText(config: JsonObject): JsonObject {
  const { text_config: inner, hidden_size: size } = config;
  return size === undefined && isJsonObject(inner) ? { ...config, ...inner } : config;
}

function withSilu(config: JsonObject): JsonObject {
  return config.act_fn === 'swish' ? { ...config, act_fn: 'silu' } : config;
}

const maybeLists = ['layers_per_block', 'cross_attention_dim', 'only_cross_attention', 'attention_head_dim'];

function withEvenLists(config: JsonObject): JsonObject {
  const pairs = maybeLists.flatMap((key): [string, unknown][] => {
    const list = config[key];
    if (!Array.isArray(list) || list.length === 0 || list.some((each) => each !== list[0])) return [];
    return [[key, list[0]]];
  });
  return { ...config, ...Object.fromEntries(pairs) };
}
