/**
 * Names of a UNet's modules in the original code: `input_blocks.4.1.proj_in`, numbered in the order of the forward
 * pass. kohya's LoRAs for SDXL have these names.
 */

/**
 * Maps modules of a UNet, given all of them in diffusers' names, to their original names. Modules without one are left
 * out; those inside an attention have the same names in both.
 */
export function originalUnetNames(modules: readonly string[]): ReadonlyMap<string, string> {
  const layout = layoutOf(modules);
  const named = modules.map((name): [string, string | undefined] => [name, original(name, layout)]);
  return new Map(named.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

/** Layout of a UNet, which the original numbers depend on. */
interface Layout {
  /** Number of the first input block of each level; block 0 is conv_in. */
  readonly down: readonly number[];
  /** Number of the first output block of each level. */
  readonly up: readonly number[];
  readonly levelsWithAttention: ReadonlySet<string>;
}

function layoutOf(modules: readonly string[]): Layout {
  const layers = countLayers(modules, /^down_blocks\.(\d+)\.resnets\.(\d+)/);
  const layersUp = countLayers(modules, /^up_blocks\.(\d+)\.resnets\.(\d+)/);
  const attentions = modules.flatMap((name) => /^up_blocks\.\d+(?=\.attentions)/.exec(name)?.[0] ?? []);
  return {
    down: starts(
      layers.map((count) => count + 1),
      1,
    ), // each level has another block that downsamples
    up: starts(layersUp, 0),
    levelsWithAttention: new Set(attentions),
  };
}

function countLayers(modules: readonly string[], pattern: RegExp): number[] {
  const counts: number[] = [];
  for (const name of modules) {
    const [, level, layer] = pattern.exec(name) ?? [];
    if (level === undefined) continue;
    counts[Number(level)] = Math.max(counts[Number(level)] ?? 0, Number(layer) + 1);
  }
  return Array.from(counts, (count = 0) => count);
}

/** Number at which each level starts, the first at `first`; the last entry is the end of all levels. */
function starts(counts: readonly number[], first: number): number[] {
  const all = [first];
  for (const count of counts) all.push((all.at(-1) ?? 0) + count);
  return all;
}

function original(name: string, { down, up, levelsWithAttention }: Layout): string | undefined {
  const simple = outside[name];
  if (simple) return simple;
  const match = /^(down_blocks\.(\d+)|mid_block|up_blocks\.(\d+))\.(\w+)\.(\d+)\.(.+)$/.exec(name);
  if (!match) return undefined;
  const [, block = '', downLevel, upLevel, kind = '', index = '', rest = ''] = match;
  const inner = kind === 'resnets' ? resnet[rest] : rest;
  if (inner === undefined) return undefined;
  const position = kind === 'attentions' ? 1 : 0;
  if (block === 'mid_block') return `middle_block.${kind === 'attentions' ? 1 : 2 * Number(index)}.${inner}`;
  // A downsampler is the last block of its level; an upsampler is in the block of the last layer, after its attention if it has one.
  if (kind === 'downsamplers') return `input_blocks.${(down[Number(downLevel) + 1] ?? 0) - 1}.0.op`;
  if (kind === 'upsamplers')
    return `output_blocks.${(up[Number(upLevel) + 1] ?? 0) - 1}.${levelsWithAttention.has(block) ? 2 : 1}.conv`;
  const [side, first] =
    upLevel === undefined ? ['input', down[Number(downLevel)]] : ['output', up[Number(upLevel)]];
  return `${side}_blocks.${(first ?? 0) + Number(index)}.${position}.${inner}`;
}

const outside: Readonly<Record<string, string>> = {
  conv_in: 'input_blocks.0.0',
  conv_norm_out: 'out.0',
  conv_out: 'out.2',
  'time_embedding.linear_1': 'time_embed.0',
  'time_embedding.linear_2': 'time_embed.2',
  'time_embedding.cond_proj': 'time_embed.cond_proj',
  'add_embedding.linear_1': 'label_emb.0.0',
  'add_embedding.linear_2': 'label_emb.0.2',
};

const resnet: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
};
