/**
 * A UNet's modules as the original implementation calls them: `input_blocks.4.1.proj_in`, numbered in the order in which
 * the data meets them. kohya's LoRAs for SDXL keep these names.
 */

/**
 * The original name of each module that has one under another name, for all modules of a UNet in diffusers' names.
 * What is inside an attention is called the same in both.
 */
export function originalUnetNames(modules: readonly string[]): ReadonlyMap<string, string> {
  const layers =
    1 +
    Math.max(-1, ...modules.map((name) => Number(/^down_blocks\.0\.resnets\.(\d+)/.exec(name)?.[1] ?? -1)));
  const blocksWithAttention = new Set(
    modules.flatMap((name) => /^up_blocks\.\d+(?=\.attentions)/.exec(name)?.[0] ?? []),
  );
  const named = modules.map((name): [string, string | undefined] => [
    name,
    original(name, layers, blocksWithAttention),
  ]);
  return new Map(named.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

function original(
  name: string,
  layers: number,
  blocksWithAttention: ReadonlySet<string>,
): string | undefined {
  const simple = outside[name];
  if (simple) return simple;
  const match = /^(down_blocks\.(\d+)|mid_block|up_blocks\.(\d+))\.(\w+)\.(\d+)\.(.+)$/.exec(name);
  if (!match) return undefined;
  const [, block = '', down, up, kind = '', index = '', rest = ''] = match;
  const inner = kind === 'resnets' ? resnet[rest] : rest;
  if (inner === undefined) return undefined;
  const position = kind === 'attentions' ? 1 : 0;
  if (block === 'mid_block') return `middle_block.${kind === 'attentions' ? 1 : 2 * Number(index)}.${inner}`;
  const group = Number(down ?? up) * (layers + 1);
  if (kind === 'downsamplers') return `input_blocks.${group + layers + 1}.0.op`;
  // An upsampler ends the last layer of its block, after the attention where there is one.
  if (kind === 'upsamplers')
    return `output_blocks.${group + layers}.${blocksWithAttention.has(block) ? 2 : 1}.conv`;
  const side =
    down === undefined
      ? `output_blocks.${group + Number(index)}`
      : `input_blocks.${group + Number(index) + 1}`;
  return `${side}.${position}.${inner}`;
}

const outside: Readonly<Record<string, string>> = {
  conv_in: 'input_blocks.0.0',
  conv_out: 'out.2',
  'time_embedding.linear_1': 'time_embed.0',
  'time_embedding.linear_2': 'time_embed.2',
  'add_embedding.linear_1': 'label_emb.0.0',
  'add_embedding.linear_2': 'label_emb.0.2',
};

const resnet: Readonly<Record<string, string>> = {
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
};
