import type { JsonObject } from '../../io/json/python-json.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Part } from './split.ts';

/**
 * Single files have no configs. The family's config is adapted to the sizes in the header, so that pruned, widened and
 * small models get the right one. Headers do not show group counts, activations and the width of attention heads.
 */

/** A config adapted to weights, and a note on what was assumed. */
export interface Adapted {
  readonly config: JsonObject;
  readonly note?: string;
}

type Weights = ReadonlyMap<string, Weight>;

/** Adapts the config of a family's network to weights in diffusers' names. */
export function adaptConfig(part: Part, template: JsonObject, weights: Weights): Adapted {
  return adapters[part](template, new Shapes(weights));
}

const adapters: { readonly [P in Part]: (template: JsonObject, shapes: Shapes) => Adapted } = {
  unet: adaptUnet,
  controlnet: adaptControlNet,
  vae: adaptVae,
  text_encoder: adaptClip,
  text_encoder_2: adaptClip,
};

function adaptUnet(template: JsonObject, shapes: Shapes): Adapted {
  const { config, note } = adaptContractingPath(template, shapes);
  const hasAttention = range(levelsOf(config)).map((up) => shapes.has(`up_blocks.${up}.attentions`));
  return adapted(
    {
      ...config,
      ...known({ out_channels: shapes.size('conv_out.weight', 0) }),
      up_block_types: hasAttention.map((has) => (has ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
      ...upDepths(config, shapes, hasAttention),
    },
    note,
  );
}

/** Depths of the up blocks, which are set only where they do not mirror the down blocks, as in distilled UNets. */
function upDepths(
  { transformer_layers_per_block: down }: JsonObject,
  shapes: Shapes,
  hasAttention: readonly boolean[],
): JsonObject {
  const up = hasAttention.map((has, level) => (has ? depthsAt(shapes, `up_blocks.${level}`) : 1));
  const mirrored = hasAttention.map((_, level) => (Array.isArray(down) ? down.at(-1 - level) : down));
  const isMirrored = hasAttention.every((has, level) => !has || up[level] === mirrored[level]);
  return isMirrored ? {} : { reverse_transformer_layers_per_block: up };
}

function adaptControlNet(template: JsonObject, shapes: Shapes): Adapted {
  const { config, note } = adaptContractingPath(template, shapes);
  const embedding = 'controlnet_cond_embedding';
  const last = shapes.size(`${embedding}.conv_out.weight`, 1);
  const blocks = shapes.count(`${embedding}.blocks`);
  const widths = range(blocks / 2).map(
    (pair) => shapes.size(`${embedding}.blocks.${2 * pair}.weight`, 1) ?? 0,
  );
  return adapted(
    {
      ...config,
      ...known({ conditioning_channels: shapes.size(`${embedding}.conv_in.weight`, 1) }),
      ...(last !== undefined && { conditioning_embedding_out_channels: [...widths, last] }),
    },
    note,
  );
}

/** Adapts the keys that UNets and ControlNets share. */
function adaptContractingPath(template: JsonObject, shapes: Shapes): Adapted {
  const channels = shapes.widths('down_blocks');
  if (!channels) return { config: template };
  const levels = range(channels.length);
  const hasAttention = levels.map((level) => shapes.has(`down_blocks.${level}.attentions`));
  const inAttention = `down_blocks.${hasAttention.indexOf(true)}.attentions.0`;
  const projection = shapes.shape(`${inAttention}.proj_in.weight`);
  const { heads, note } = headsOf(template, channels);
  return adapted(
    {
      ...template,
      ...known({
        in_channels: shapes.size('conv_in.weight', 1),
        cross_attention_dim: shapes.size(`${inAttention}.transformer_blocks.0.attn2.to_k.weight`, 1),
        projection_class_embeddings_input_dim: shapes.size('add_embedding.linear_1.weight', 1),
        time_cond_proj_dim: shapes.size('time_embedding.cond_proj.weight', 1),
        use_linear_projection: projection && projection.length === 2,
      }),
      block_out_channels: channels,
      down_block_types: hasAttention.map((has) => (has ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
      layers_per_block: shapes.count('down_blocks.0.resnets'),
      attention_head_dim: heads,
      transformer_layers_per_block: transformerLayers(shapes, hasAttention),
      mid_block_type: midBlockType(shapes),
    },
    note,
  );
}

/** Type of the mid block: in distilled UNets and small ControlNets it lacks attention, or is missing. */
function midBlockType(shapes: Shapes): string | null {
  if (shapes.has('mid_block.attentions')) return 'UNetMidBlock2DCrossAttn';
  return shapes.has('mid_block') ? 'UNetMidBlock2D' : null;
}

/** Number of attention heads: 8 in Stable Diffusion 1.x; in other families each head is 64 channels wide. */
function headsOf({ attention_head_dim: heads }: JsonObject, channels: readonly number[]) {
  if (!Array.isArray(heads)) return { heads };
  if (channels.every((width) => width % 64 === 0)) return { heads: channels.map((width) => width / 64) };
  return {
    heads: channels.map((width) => Math.max(1, Math.floor(width / 16))),
    note: `No published UNet has block_out_channels ${channels.join(', ')}: attention heads of 16 channels are assumed.`,
  };
}

/**
 * Number of transformer blocks at each level, or in each attention of a level where they differ. A level without
 * attention has 1, as in SDXL's configs; the last level has the mid block's number.
 */
function transformerLayers(shapes: Shapes, hasAttention: readonly boolean[]): unknown {
  const middle = shapes.count('mid_block.attentions.0.transformer_blocks');
  const last = hasAttention.length - 1;
  const depths = hasAttention.map((has, level) => {
    if (has) return depthsAt(shapes, `down_blocks.${level}`);
    return level === last && middle > 0 ? middle : undefined;
  });
  const [first = 1, ...others] = depths.filter((depth) => depth !== undefined);
  return others.every((depth) => depth === first) ? first : depths.map((depth) => depth ?? 1);
}

/** Depths of a block's attentions: a single number where they are equal. */
function depthsAt(shapes: Shapes, block: string): number | readonly number[] {
  const depths = range(shapes.count(`${block}.attentions`)).map((layer) =>
    shapes.count(`${block}.attentions.${layer}.transformer_blocks`),
  );
  const [first = 0] = depths;
  return depths.every((depth) => depth === first) ? first : depths;
}

function adaptVae(template: JsonObject, shapes: Shapes): Adapted {
  const channels = shapes.widths('encoder.down_blocks') ?? shapes.widths('decoder.up_blocks')?.toReversed();
  if (!channels) return { config: template };
  const layers = shapes.has('encoder')
    ? shapes.count('encoder.down_blocks.0.resnets')
    : shapes.count('decoder.up_blocks.0.resnets') - 1;
  return adapted({
    ...template,
    ...known({
      in_channels: shapes.size('encoder.conv_in.weight', 1),
      out_channels: shapes.size('decoder.conv_out.weight', 0),
      latent_channels: shapes.size('decoder.conv_in.weight', 1),
    }),
    block_out_channels: channels,
    down_block_types: channels.map(() => 'DownEncoderBlock2D'),
    up_block_types: channels.map(() => 'UpDecoderBlock2D'),
    layers_per_block: layers,
  });
}

function adaptClip(template: JsonObject, shapes: Shapes): Adapted {
  const width = shapes.size('text_model.embeddings.token_embedding.weight', 1);
  const layers = shapes.count('text_model.encoder.layers');
  if (width === undefined || layers === 0) return { config: template };
  const isPublished = width === template.hidden_size;
  const config = {
    ...template,
    ...known({
      vocab_size: shapes.size('text_model.embeddings.token_embedding.weight', 0),
      max_position_embeddings: shapes.size('text_model.embeddings.position_embedding.weight', 0),
      intermediate_size: shapes.size('text_model.encoder.layers.0.mlp.fc1.weight', 0),
      projection_dim: shapes.size('text_projection.weight', 0),
    }),
    hidden_size: width,
    num_hidden_layers: layers,
    ...(!isPublished && { num_attention_heads: 4 }),
  };
  if (!isPublished)
    return {
      config,
      note: `No published text encoder is ${width} channels wide: 4 attention heads are assumed, as in small test models.`,
    };
  const usual = template.num_hidden_layers;
  return adapted(
    config,
    layers === usual ? undefined : `The text encoder has ${layers} layers instead of the usual ${usual}.`,
  );
}

function levelsOf({ block_out_channels: channels }: JsonObject): number {
  return Array.isArray(channels) ? channels.length : 0;
}

function adapted(config: JsonObject, note?: string): Adapted {
  return note === undefined ? { config } : { config, note };
}

/** Drops unknown values, so that they do not replace the template's. */
function known(values: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function range(length: number): number[] {
  return Array.from({ length }, (_, at) => at);
}

/** Shapes of weights, by name and by path. */
class Shapes {
  readonly #weights: Weights;
  readonly #paths = new Set<string>();

  constructor(weights: Weights) {
    this.#weights = weights;
    for (const name of weights.keys()) {
      for (let end = name.length; end > 0; end = name.lastIndexOf('.', end - 1))
        this.#paths.add(name.slice(0, end));
    }
  }

  shape(name: string): readonly number[] | undefined {
    return this.#weights.get(name)?.shape;
  }

  size(name: string, axis: number): number | undefined {
    return this.shape(name)?.[axis];
  }

  /** Whether any weight is at or below a path. */
  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Output channels of each block of a path; `undefined` where the file is incomplete. */
  widths(path: string): readonly number[] | undefined {
    const widths = range(this.count(path)).map((level) =>
      this.size(`${path}.${level}.resnets.0.conv1.weight`, 0),
    );
    const found = widths.filter((width) => width !== undefined);
    return found.length > 0 && found.length === widths.length ? found : undefined;
  }

  /** Counts `path.0`, `path.1`, …. */
  count(path: string): number {
    let number = 0;
    while (this.has(`${path}.${number}`)) number++;
    return number;
  }
}
