import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.ts';
import { withLora } from '../../../src/checkpoint/lora/merge-lora.ts';
import { FileFormatError, UnsupportedModelError } from '../../../src/errors.ts';
import { openSafetensors } from '../../../src/weights/safetensors-file.ts';
import { type NamedTensor, writeSafetensors } from '../../../src/weights/safetensors-writer.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import type { Weight } from '../../../src/weights/weight.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';
import { headerCheckpoint } from '../../support/header-checkpoint.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const goldens = 'test/goldens/lora';
const inFolder = temporaryFolder();

let base: Awaited<ReturnType<typeof openSafetensors>>;
beforeAll(async () => {
  base = await openSafetensors(`${goldens}/base.safetensors`);
});
afterAll(() => base.close());

const files = readdirSync(goldens).filter(
  (name) => name.endsWith('.safetensors') && !name.startsWith('base'),
);

describe('merged as PEFT and LyCORIS merge it', () => {
  test('every kind is recorded', () => expect(files.length).toBe(12));

  test.each(files)('%s', async (name) => {
    const merged = await withLora(smallCheckpoint(), [{ path: `${goldens}/${name}`, scale: 0.7 }]);
    const expected = await openSafetensors(`${goldens}/merged/${name}`);
    for (const [key, weight] of expected.weights) {
      const { data } = await readTensor(weight, 'f32');
      const found = await valuesOf(merged, key);
      const peak = Math.max(...data.map(Math.abs));
      // float32 throughout, sums of at most 3 products: measured at most 1.6e-7 of the largest weight.
      const error = Math.max(...data.map((value, i) => Math.abs(value - (found[i] ?? 0)))) / peak;
      expect(error, key).toBeLessThan(1e-6);
    }
    for (const key of base.weights.keys()) {
      if (!expected.weights.has(key))
        expect(await valuesOf(merged, key)).toEqual(await valuesOf(smallCheckpoint(), key));
    }
    expect(merged.notes).toEqual([]);
    await expected.close();
    await merged.close();
  });
});

describe('several LoRAs', () => {
  test('add up, whatever their order', async () => {
    const choices = [
      { path: `${goldens}/kohya.safetensors`, scale: 0.5 },
      { path: `${goldens}/loha.safetensors`, scale: -1 },
    ];
    const [both, reversed, one, other] = await Promise.all(
      [choices, choices.toReversed(), choices.slice(0, 1), choices.slice(1)].map((some) =>
        withLora(smallCheckpoint(), some),
      ),
    );
    for (const key of base.weights.keys()) {
      const [plain, sum, again, first, second] = await Promise.all(
        [smallCheckpoint(), both, reversed, one, other].map((each) => valuesOf(each, key)),
      );
      sum?.forEach((value, i) => {
        const expected = (first?.[i] ?? 0) + (second?.[i] ?? 0) - (plain?.[i] ?? 0);
        expect(value).toBeCloseTo(expected, 5);
        expect(again?.[i]).toBeCloseTo(expected, 5);
      });
    }
    await Promise.all([both, reversed, one, other].map((each) => each?.close()));
  });

  test('of which one is the other’s opposite cancel out', async () => {
    const path = `${goldens}/kohya.safetensors`;
    const merged = await withLora(
      smallCheckpoint(),
      [1, -1].map((scale) => ({ path, scale })),
    );
    for (const key of base.weights.keys()) {
      const plain = await valuesOf(smallCheckpoint(), key);
      const found = await valuesOf(merged, key);
      for (const [i, value] of found.entries()) expect(value).toBeCloseTo(plain[i] ?? 0, 5);
    }
    await merged.close();
  });
});

test('a scale of 0 leaves the weights byte for byte, DoRA or not', async () => {
  const names = ['kohya', 'peft-dora', 'dora-input'];
  const choices = names.map((name) => ({ path: `${goldens}/${name}.safetensors`, scale: 0 }));
  const plain = smallCheckpoint();
  const merged = await withLora(plain, choices);
  expect(merged.components).toEqual(plain.components);
  await merged.close();
});

test('a component says which LoRA it was made with, and keeps dtypes, shapes and order', async () => {
  const path = `${goldens}/kohya-mid.safetensors`;
  const plain = smallCheckpoint();
  const merged = await withLora(plain, [
    { path, scale: 1 },
    { path, scale: 1 },
  ]);
  expect(merged.components.get('unet')?.files).toEqual(['unet.safetensors', path]);
  expect(merged.components.get('text_encoder')?.files).toEqual(['text_encoder.safetensors']);
  const facts = (checkpoint: Checkpoint) =>
    [...(checkpoint.components.get('unet')?.weights.values() ?? [])].map(({ stream: _, ...rest }) => rest);
  expect(facts(merged)).toEqual(facts(plain));
  await merged.close();
});

describe('what the checkpoint does not have is left out and said', () => {
  test('a network', async () => {
    const path = `${goldens}/kohya.safetensors`;
    const { text_encoder: _, ...rest } = Object.fromEntries(smallCheckpoint().components);
    const merged = await withLora(withComponents(rest), [{ path, scale: 1 }]);
    expect(merged.notes).toEqual([
      `${path} also changes the text_encoder (1 layer), which the checkpoint does not have.`,
    ]);
    await merged.close();
  });

  test('layers and stray tensors', async () => {
    const path = inFolder('strays.safetensors');
    await writeSafetensors(path, [
      ...pair('lora_unet_conv_in', 10, 27),
      ...[1, 2, 3, 4, 5].flatMap((i) => pair(`lora_unet_up_blocks_${i}_conv`, 4, 4)),
      tensor('emb_params', [2, 2]),
    ]);
    const merged = await withLora(smallCheckpoint(), [{ path, scale: 1 }]);
    expect(merged.notes).toEqual([
      `${path} changes 5 layers that the checkpoint does not have: lora_unet_up_blocks_1_conv, lora_unet_up_blocks_2_conv, lora_unet_up_blocks_3_conv and 2 more.`,
      `${path} has 1 tensor outside of the LoRA: emb_params.`,
    ]);
    await merged.close();
  });
});

describe('a LoRA of another family is refused', () => {
  const key = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k';

  test('by the width of its text', async () => {
    const path = inFolder('sd2.safetensors');
    await writeSafetensors(path, pair(key, 320, 1024));
    const error = await rejectionOf(withLora(fullSizeCheckpoint('sd15'), [{ path, scale: 1 }]));
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toBe(`${path} does not fit the checkpoint: a weight has another shape.`);
    expect(error.details).toEqual({
      module: key,
      expected: '[320,768], the shape of down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight',
      found: '.lora_down.weight [2,1024], .lora_up.weight [320,2]',
      checkpoint: 'Stable Diffusion 1.x, whose cross_attention_dim is 768',
      LoRA: 'Stable Diffusion 2.x',
    });
  });

  test('by its layers: SDXL', async () => {
    const path = inFolder('xl.safetensors');
    const module = 'lora_unet_input_blocks_7_1_transformer_blocks_9_attn2_to_k';
    await writeSafetensors(path, pair(module, 1280, 2048));
    const error = await rejectionOf(withLora(fullSizeCheckpoint('sd21'), [{ path, scale: 1 }]));
    expect(error).toBeInstanceOf(UnsupportedModelError);
    expect(error.problem).toBe(`${path} is for another family: none of its 1 layers is in the checkpoint.`);
    expect(error.details).toMatchObject({
      found: module,
      checkpoint: 'Stable Diffusion 2.x, whose cross_attention_dim is 1024',
      LoRA: 'Stable Diffusion XL',
    });
  });

  test('by its layers: Flux', async () => {
    const path = inFolder('flux.safetensors');
    await writeSafetensors(path, pair('lora_unet_double_blocks_0_img_attn_proj', 3072, 3072));
    const error = await rejectionOf(withLora(fullSizeCheckpoint('sd15'), [{ path, scale: 1 }]));
    expect(error.details).toMatchObject({ LoRA: 'a transformer such as Flux or Stable Diffusion 3' });
  });

  test('by its networks', async () => {
    const path = inFolder('second.safetensors');
    await writeSafetensors(path, pair('lora_te2_text_model_encoder_layers_0_mlp_fc1', 5120, 1280));
    const error = await rejectionOf(withLora(fullSizeCheckpoint('sd15'), [{ path, scale: 1 }]));
    expect(error.problem).toBe(
      `${path} changes only networks that the checkpoint does not have: text_encoder_2.`,
    );
  });
});

test('a tensor for the other kind of projection fits: a 1×1 convolution is a matrix', async () => {
  const weights = { 'down_blocks.0.attentions.0.proj_in.weight': [320, 320, 1, 1] };
  const path = inFolder('linear.safetensors');
  await writeSafetensors(path, pair('lora_unet_down_blocks_0_attentions_0_proj_in', 320, 320));
  const merged = await withLora(headerCheckpoint({ unet: { config: {}, weights } }), [{ path, scale: 1 }]);
  expect(merged.notes).toEqual([]);
  await merged.close();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('%d in a LoRA is named, not merged', async (value) => {
  const path = inFolder(`${value}.safetensors`);
  const [down, up] = pair('lora_unet_conv_in', 10, 27);
  await writeSafetensors(path, [down, { ...up, data: Float32Array.from(up.data).fill(value, 7) }]);
  const merged = await withLora(smallCheckpoint(), [{ path, scale: 1 }]);
  const error = await rejectionOf(valuesOf(merged, 'unet.conv_in.weight'));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`${path} holds a number that is not finite.`);
  expect(error.details).toEqual({
    tensor: 'lora_unet_conv_in.lora_up.weight',
    found: `${value} at element 7`,
  });
  await merged.close();
});

test('one weight under two names is refused', async () => {
  const path = inFolder('two-names.safetensors');
  await writeSafetensors(path, [
    ...pair('lora_unet_conv_in', 10, 27),
    ...pair('lora_unet_input_blocks_0_0', 10, 27),
  ]);
  const error = await rejectionOf(withLora(smallCheckpoint(), [{ path, scale: 1 }]));
  expect(error.problem).toBe(`${path} changes a weight twice, under two names.`);
});

/** The recorded layers as a checkpoint. */
function smallCheckpoint(): Checkpoint {
  const component = (name: string) => {
    const own = [...base.weights].filter(([key]) => key.startsWith(`${name}.`));
    const weights = own.map(([key, weight]): [string, Weight] => {
      const inner = key.slice(name.length + 1);
      return [inner, { ...weight, name: inner }];
    });
    return {
      name,
      className: '',
      config: {},
      configFile: '',
      weights: new Map(weights),
      files: [`${name}.safetensors`],
    };
  };
  return withComponents({ unet: component('unet'), text_encoder: component('text_encoder') });
}

function withComponents(
  components: Record<string, NonNullable<ReturnType<Checkpoint['components']['get']>>>,
): Checkpoint {
  return { ...headerCheckpoint({}), components: new Map(Object.entries(components)) };
}

/** A weight's numbers, found by its network and name. */
async function valuesOf(checkpoint: Checkpoint | undefined, key: string): Promise<Float32Array> {
  const network = key.slice(0, key.indexOf('.'));
  const weight = checkpoint?.components.get(network)?.weights.get(key.slice(network.length + 1));
  if (!weight) throw new Error(`no ${key}`);
  return (await readTensor(weight, 'f32')).data;
}

type FloatTensor = Extract<NamedTensor, { dtype: 'f32'; data: Float32Array }>;

/** Both tensors of a module, of rank 2. */
function pair(module: string, rows: number, columns: number): [FloatTensor, FloatTensor] {
  return [tensor(`${module}.lora_down.weight`, [2, columns]), tensor(`${module}.lora_up.weight`, [rows, 2])];
}

function tensor(name: string, shape: readonly [number, number]): FloatTensor {
  return { name, dtype: 'f32', shape, data: new Float32Array(shape[0] * shape[1]).fill(0.5) };
}
