import { describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import { withLora } from '../../../src/checkpoint/lora/merge-lora.ts';
import { openLora } from '../../../src/checkpoint/lora/open-lora.ts';
import { ConfigError, FileFormatError, NotFoundError, UnsupportedModelError } from '../../../src/errors.ts';
import { writeText } from '../../../src/io/disk.ts';
import { type NamedTensor, writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import { headerCheckpoint } from '../../support/header-checkpoint.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const inFolder = temporaryFolder();
let files = 0;

/** What the UNet has: a first convolution of nine channels, a norm, and a matrix with a bias. */
const shapes = {
  'conv_in.weight': [3, 9, 2, 2],
  'conv_in.bias': [3],
  'down_blocks.0.resnets.0.norm1.weight': [4],
  'down_blocks.0.resnets.0.norm1.bias': [4],
  'down_blocks.0.attentions.0.proj_in.weight': [4, 2],
  'down_blocks.0.attentions.0.proj_in.bias': [4],
} as const;

const proj = 'lora_unet_down_blocks_0_attentions_0_proj_in';

describe('differences are added to what they are called by', () => {
  test.each([
    ['diff', proj, 'down_blocks.0.attentions.0.proj_in.weight'],
    ['diff_b', proj, 'down_blocks.0.attentions.0.proj_in.bias'],
    ['w_norm', 'lora_unet_down_blocks_0_resnets_0_norm1', 'down_blocks.0.resnets.0.norm1.weight'],
    ['b_norm', 'lora_unet_down_blocks_0_resnets_0_norm1', 'down_blocks.0.resnets.0.norm1.bias'],
    ['diff', 'diffusion_model.input_blocks.1.0.in_layers.0', 'down_blocks.0.resnets.0.norm1.weight'],
  ] as const)('%s of %s', async (part, module, target) => {
    const shape = shapes[target];
    const added = floats(`${module}.${part}`, shape, 5);
    const alpha = floats(`${module}.alpha`, [], 9); // says nothing of a whole difference
    const path = await write([added, alpha]);
    const merged = await withLora(unet(), [{ path, scale: 0.5 }]);
    for (const [name, values] of await valuesIn(merged)) {
      const before = (await valuesIn(unet())).get(name) ?? [];
      const expected =
        name === target ? before.map((value, i) => Math.fround(value + 0.5 * (added.data[i] ?? 0))) : before;
      expect([name, values]).toEqual([name, expected]);
    }
    expect(merged.notes).toEqual([]);
    await merged.close();
  });

  test('beside low rank for the same layer', async () => {
    const path = await write([...pair(proj, 4, 2), floats(`${proj}.diff_b`, [4], 3)]);
    const merged = await withLora(unet(), [{ path, scale: 1 }]);
    const [before, after] = [await valuesIn(unet()), await valuesIn(merged)];
    for (const name of ['weight', 'bias'].map((each) => `down_blocks.0.attentions.0.proj_in.${each}`))
      expect(after.get(name)).not.toEqual(before.get(name));
    await merged.close();
  });

  test('and where they are not finite, are refused', async () => {
    const added = { ...floats(`${proj}.diff`, [4, 2], 1), data: new Float32Array(8).fill(Number.NaN) };
    const merged = await withLora(unet(), [{ path: await write([added]), scale: 1 }]);
    expect(await rejectionOf(valuesIn(merged))).toBeInstanceOf(FileFormatError);
    await merged.close();
  });

  test('a bias that the checkpoint has not is said', async () => {
    const bare = unet((name) => name !== 'conv_in.bias');
    const path = await write([
      floats('lora_unet_conv_in.diff', [3, 9, 2, 2], 1),
      floats('lora_unet_conv_in.diff_b', [3], 1),
    ]);
    const merged = await withLora(bare, [{ path, scale: 1 }]);
    expect(merged.notes).toEqual([
      `${path} changes the bias of 1 layer, but the checkpoint has none there: lora_unet_conv_in.`,
    ]);
    await merged.close();
  });
});

test.each([
  ['i64', (value: number) => BigInt64Array.of(BigInt(value))],
  ['f64', (value: number) => Float64Array.of(value)],
  ['i32', (value: number) => Int32Array.of(value)],
] as const)('alpha may be %s', async (dtype, data) => {
  // as: the writer's union does not follow that each dtype has its array.
  const alpha = { name: `${proj}.alpha`, dtype, shape: [], data: data(1) } as NamedTensor;
  const [odd, usual] = await Promise.all(
    [alpha, { ...floats(`${proj}.alpha`, [], 1), data: Float32Array.of(1) }].map(async (each) =>
      withLora(unet(), [{ path: await write([...pair(proj, 4, 2), each]), scale: 1 }]),
    ),
  );
  if (!odd || !usual) throw new Error('nothing was merged');
  expect(await valuesIn(odd)).toEqual(await valuesIn(usual));
  expect(await valuesIn(odd)).not.toEqual(await valuesIn(unet()));
  await Promise.all([odd.close(), usual.close()]);
});

test('layers of which only an alpha is left, or of rank 0, stay as they are and are said once', async () => {
  const rank0 = [
    {
      name: 'lora_unet_conv_in.lora_down.weight',
      dtype: 'f32',
      shape: [0, 9, 2, 2],
      data: new Float32Array(0),
    },
    {
      name: 'lora_unet_conv_in.lora_up.weight',
      dtype: 'f32',
      shape: [3, 0, 1, 1],
      data: new Float32Array(0),
    },
  ] as const satisfies NamedTensor[];
  const orphan = floats('lora_unet_down_blocks_0_resnets_0_conv1.alpha', [], 1);
  const path = await write([...pair(proj, 4, 2), ...rank0, orphan]);
  const merged = await withLora(unet(), [{ path, scale: 1 }]);
  const [before, after] = [await valuesIn(unet()), await valuesIn(merged)];
  expect(after.get('conv_in.weight')).toEqual(before.get('conv_in.weight'));
  expect(merged.notes).toEqual([
    `${path} has 2 layers without any change: lora_unet_conv_in, lora_unet_down_blocks_0_resnets_0_conv1.`,
  ]);
  const error = await rejectionOf(withLora(unet(), [{ path, scale: 1 }], {}, { strict: true }));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toContain('without any change');
  await merged.close();
});

test.each([
  [
    'a low rank',
    [
      floats('lora_unet_conv_in.lora_down.weight', [2, 4, 2, 2], 1),
      floats('lora_unet_conv_in.lora_up.weight', [3, 2, 1, 1], 2),
    ],
  ],
  ['a difference', [floats('lora_unet_conv_in.diff', [3, 4, 2, 2], 1)]],
] as const)('%s of four channels changes the first four of nine, and it is said', async (_, tensors) => {
  const path = await write([...tensors]);
  const merged = await withLora(unet(), [{ path, scale: 1 }]);
  const [before, after] = [await valuesIn(unet()), await valuesIn(merged)].map(
    (each) => each.get('conv_in.weight') ?? [],
  );
  for (const [i, value] of (after ?? []).entries()) {
    const isLatent = i % 36 < 16;
    if (isLatent) expect(value).not.toBe(before?.[i]);
    else expect(value).toBe(before?.[i]);
  }
  expect(merged.notes).toEqual([
    `${path} changes the first convolution for latents only: weights of this UNet's other input channels stay as they are.`,
  ]);
  await merged.close();
});

describe('PEFT’s adapter_config.json', () => {
  const config = { peft_type: 'LORA', r: 2, lora_alpha: 8, alpha_pattern: {}, rank_pattern: {} };

  async function folder(settings: object, name = 'adapter_model.safetensors'): Promise<string> {
    const path = inFolder(`adapter-${files++}`);
    await writeText(`${path}/adapter_config.json`, JSON.stringify(settings));
    const module = 'base_model.model.down_blocks.0.attentions.0.proj_in';
    const [down, up] = pair(proj, 4, 2);
    await writeSafetensors(`${path}/${name}`, [
      { ...down, name: `${module}.lora_A.weight` },
      { ...up, name: `${module}.lora_B.weight` },
    ]);
    return path;
  }

  /** The change of the first element, by what it is without a configuration. */
  async function strength(path: string): Promise<number> {
    const target = 'down_blocks.0.attentions.0.proj_in.weight';
    const plain = await withLora(unet(), [{ path: await write(pair(proj, 4, 2)), scale: 1 }]);
    const merged = await withLora(unet(), [{ path, scale: 1 }]);
    const [before, once, now] = await Promise.all(
      [unet(), plain, merged].map(async (each) => (await valuesIn(each)).get(target)?.[0] ?? 0),
    );
    await Promise.all([plain.close(), merged.close()]);
    return ((now ?? 0) - (before ?? 0)) / ((once ?? 0) - (before ?? 0));
  }

  test.each([
    [{}, 4],
    [{ use_rslora: true }, 8 / Math.SQRT2],
    [{ alpha_pattern: { 'attentions.0.proj_in': 1 } }, 0.5],
    [{ r: 16, rank_pattern: { proj_in: 2 } }, 4],
    [{ alpha_pattern: { '^down_blocks.0.attentions.0.proj_in': 1 } }, 0.5],
    [{ alpha_pattern: { '^attentions.0.proj_in': 1 } }, 4],
    [{ r: 16, rank_pattern: { '^down_blocks.0.attentions.0.proj_in': 2 } }, 4],
    [{ init_lora_weights: 'gaussian' }, 4],
  ])('%j is a strength of %d, for the file and for the folder', async (change, expected) => {
    const path = await folder({ ...config, ...change });
    expect(await strength(`${path}/adapter_model.safetensors`)).toBeCloseTo(expected, 4);
    expect(await strength(path)).toBeCloseTo(expected, 4);
  });

  test('of another LoRA is refused', async () => {
    const path = await folder({ ...config, r: 64 });
    const error = await rejectionOf(openLora(path));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toBe(
      `${path}/adapter_config.json belongs to another LoRA than adapter_model.safetensors.`,
    );
  });

  test.each([
    [{ lora_alpha: '8' }, 'lora_alpha'],
    [{ r: [2] }, 'r'],
    [{ r: 2.5 }, 'r'],
    [{ use_rslora: 'true' }, 'use_rslora'],
    [{ alpha_pattern: ['proj_in'] }, 'alpha_pattern'],
    [{ alpha_pattern: { proj_in: '4' } }, 'alpha_pattern.proj_in'],
    [{ rank_pattern: { proj_in: {} } }, 'rank_pattern.proj_in'],
  ])('with a setting of the wrong type is refused, not passed over: %j', async (change, setting) => {
    const path = await folder({ ...config, ...change });
    const error = await rejectionOf(openLora(path));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toBe(`${path}/adapter_config.json has a setting of the wrong type: ${setting}.`);
  });

  test.each([
    [{ init_lora_weights: 'pissa_niter_16' }, 'init_lora_weights = "pissa_niter_16"'],
    [{ init_lora_weights: 'olora' }, 'init_lora_weights = "olora"'],
    [{ alpha_pattern: { 'to_q|proj_in': 4 } }, 'names modules in alpha_pattern by a regular expression.'],
    [
      { rank_pattern: { 'attentions.*proj_in': 4 } },
      'names modules in rank_pattern by a regular expression.',
    ],
  ])('with which it would be merged wrongly is refused: %j', async (change, what) => {
    const path = await folder({ ...config, ...change });
    const error = await rejectionOf(openLora(path));
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toContain(`${path}/adapter_config.json`);
    expect(error.problem).toContain(what);
  });

  test('of LoHa has the alpha that PEFT gives it', async () => {
    const { lora_alpha: alpha, ...rest } = config;
    expect(await strength(await folder({ ...rest, peft_type: 'LOHA', alpha }))).toBeCloseTo(4, 4);
  });

  // PEFT's LoraConfig, LoHaConfig and LoKrConfig have an alpha of 8; diffusers' load_lora_weights does not read the file.
  test.each([
    [{}, 'adapter_model.safetensors', 4],
    [{ peft_type: 'LOHA' }, 'adapter_model.safetensors', 4],
    [{ use_rslora: true }, 'adapter_model.safetensors', 8 / Math.SQRT2],
    [{ alpha_pattern: { proj_out: 6 } }, 'adapter_model.safetensors', 4],
    [{ alpha_pattern: { proj_in: 6 } }, 'adapter_model.safetensors', 3],
    [{ lora_alpha: null }, 'adapter_model.safetensors', 1],
    [{}, 'pytorch_lora_weights.safetensors', 1],
  ])('without an alpha has that of the library that reads it: %j in %s', async (change, name, expected) => {
    const { lora_alpha: _, ...rest } = config;
    expect(await strength(await folder({ ...rest, ...change }, name))).toBeCloseTo(expected, 4);
  });

  test('a folder without weights, or with those of several, is no LoRA’s', async () => {
    const empty = inFolder(`adapter-${files++}`);
    await writeText(`${empty}/adapter_config.json`, '{}');
    expect(await rejectionOf(openLora(empty))).toBeInstanceOf(NotFoundError);
    const several = await folder(config, 'a.safetensors');
    await writeSafetensors(`${several}/b.safetensors`, pair(proj, 4, 2));
    expect((await rejectionOf(openLora(several))).problem).toContain('is not the folder of one LoRA');
  });
});

function unet(keep: (name: string) => boolean = () => true): Checkpoint {
  const weights = Object.entries(shapes)
    .filter(([name]) => keep(name))
    .map(([name, shape], i) => [name, memoryWeight(name, shape, floats(name, shape, i + 1).data)] as const);
  const component = {
    name: 'unet',
    className: '',
    config: {},
    configFile: '',
    weights: new Map(weights),
    files: [],
  };
  return { ...headerCheckpoint({}), components: new Map([['unet', component]]) };
}

async function valuesIn({ components }: Checkpoint): Promise<Map<string, number[]>> {
  const values = new Map<string, number[]>();
  for (const weight of components.get('unet')?.weights.values() ?? [])
    values.set(weight.name, [...(await readTensor(weight, 'f32')).data]);
  return values;
}

async function write(tensors: readonly NamedTensor[]): Promise<string> {
  const path = inFolder(`${files++}.safetensors`);
  await writeSafetensors(path, [...tensors]);
  return path;
}

function pair(module: string, rows: number, columns: number): [Floats, Floats] {
  return [
    floats(`${module}.lora_down.weight`, [2, columns], 7),
    floats(`${module}.lora_up.weight`, [rows, 2], 8),
  ];
}

type Floats = Extract<NamedTensor, { dtype: 'f32'; data: Float32Array }>;

function floats(name: string, shape: readonly number[], seed: number): Floats {
  const length = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length }, (_, i) => Math.sin(12.9898 * i + 78.233 * seed));
  return { name, dtype: 'f32', shape, data };
}
