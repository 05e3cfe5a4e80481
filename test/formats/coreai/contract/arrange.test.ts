import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Checkpoint } from '../../../../src/checkpoint/checkpoint.ts';
import { composeCheckpoint } from '../../../../src/checkpoint/compose-checkpoint.ts';
import { openCheckpoint } from '../../../../src/checkpoint/open-checkpoint.ts';
import { openComponent } from '../../../../src/checkpoint/open-component.ts';
import { convert, type Model } from '../../../../src/convert/convert.ts';
import type { NetworkName } from '../../../../src/convert/networks/networks.ts';
import { RequestError } from '../../../../src/errors.ts';
import { arrangeForCoreAi } from '../../../../src/formats/coreai/contract/arrange.ts';
import { coreAiContract } from '../../../../src/formats/coreai/contract/coreai-contract.ts';
import { buildOnnxModel } from '../../../../src/formats/onnx/build-model.ts';
import type { Graph } from '../../../../src/graph/graph.ts';
import { formatShape } from '../../../../src/graph/shape.ts';
import { verifyGraph } from '../../../../src/graph/verify.ts';
import { psnr } from '../../../../src/validate/psnr.ts';
import { fullSizeCheckpoint } from '../../../support/full-size.ts';
import { readGoldens } from '../../../support/goldens.ts';
import { runOnnx, type Tensors } from '../../../support/run-onnx.ts';
import { scattered } from '../../../support/scattered.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const END = 49407;
const inFolder = temporaryFolder();

function built(checkpoint: Checkpoint, models: readonly NetworkName[]): Model[] {
  return convert(checkpoint, { contract: coreAiContract, attention: 'ORIGINAL', sizes: {}, models });
}

function arranged(checkpoint: Checkpoint, models: readonly NetworkName[]): Model[] {
  return arrangeForCoreAi(checkpoint, built(checkpoint, models));
}

function borders({ name, graph }: Model): string[] {
  verifyGraph(graph);
  return [
    name,
    ...graph.inputs.map((input) => `in  ${input.name} ${input.dtype} ${formatShape(input.shape)}`),
    ...graph.outputs.map(
      (output) => `out ${output.name} ${output.tensor.dtype} ${formatShape(output.tensor.shape)}`,
    ),
  ];
}

describe('inputs and outputs are those of Apple’s pipelines, in their order', () => {
  test('Stable Diffusion 1.5', () => {
    const names = ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'] as const;
    expect(arranged(fullSizeCheckpoint('sd15'), names).map(borders)).toEqual([
      [
        'text_encoder',
        'in  input_ids i32 [1, 77]',
        'out last_hidden_state f32 [1, 77, 768]',
        'out pooled_outputs f32 [1, 768]',
      ],
      [
        'unet',
        'in  sample f32 [2, 4, 64, 64]',
        'in  timestep f32 [2]',
        'in  encoder_hidden_states f32 [2, 77, 768]',
        'out noise_pred f32 [2, 4, 64, 64]',
      ],
      ['vae_decoder', 'in  z f32 [1, 4, 64, 64]', 'out image f32 [1, 3, 512, 512]'],
      ['vae_encoder', 'in  image f32 [1, 3, 512, 512]', 'out latent_params f32 [1, 8, 64, 64]'],
    ]);
  });

  test('Stable Diffusion XL: one text encoder, and a UNet that takes three inputs', () => {
    const checkpoint = fullSizeCheckpoint('sdxl');
    expect(arranged(checkpoint, ['text_encoder', 'text_encoder_2', 'unet']).map(borders)).toEqual([
      ['text_encoder', 'in  input_ids i32 [1, 77]', 'out hidden_states f32 [1, 77, 3328]'],
      [
        'unet',
        'in  sample f32 [2, 4, 128, 128]',
        'in  timestep f32 [2]',
        'in  encoder_hidden_states f32 [2, 77, 3328]',
        'out noise_pred f32 [2, 4, 128, 128]',
      ],
    ]);
  });

  test('a refiner and a ControlNet take the text of their base model', () => {
    const refiner = fullSizeCheckpoint('sdxl-refiner');
    const [unet] = arranged(composeCheckpoint(fullSizeCheckpoint('sdxl'), { refiner }), ['refiner']);
    expect(unet && borders(unet)).toContain('in  encoder_hidden_states f32 [2, 77, 3328]');
    const [text, alone] = arranged(refiner, ['text_encoder_2', 'unet']);
    expect(text && borders(text)).toEqual([
      'text_encoder',
      'in  input_ids i32 [1, 77]',
      'out hidden_states f32 [1, 77, 2560]',
    ]);
    expect(alone && borders(alone)).toContain('in  encoder_hidden_states f32 [2, 77, 2560]');
    const sdxl = fullSizeCheckpoint('sdxl');
    const [own] = fullSizeCheckpoint('controlnet-sdxl').components.values();
    if (!own) throw new Error('no ControlNet');
    const components = new Map([...sdxl.components, ['controlnet', own] as const]);
    const [controlnet] = arranged({ ...sdxl, components }, ['controlnet']);
    expect(controlnet && borders(controlnet).slice(0, 5)).toEqual([
      'controlnet',
      'in  sample f32 [2, 4, 128, 128]',
      'in  timestep f32 [2]',
      'in  encoder_hidden_states f32 [2, 77, 3328]',
      'in  controlnet_cond f32 [2, 3, 1024, 1024]',
    ]);
  });
});

test('one of XL’s two text encoders alone is refused', () => {
  expect(() => arranged(fullSizeCheckpoint('sdxl'), ['text_encoder'])).toThrow(RequestError);
});

describe('numbers', () => {
  let sdxl: Checkpoint;
  let sd21: Checkpoint;
  beforeAll(async () => {
    sdxl = await openCheckpoint('test/fixtures/sdxl');
    sd21 = await openCheckpoint('test/fixtures/sd21');
  });
  afterAll(async () => {
    await Promise.all([sdxl.close(), sd21.close()]);
  });

  const run = (graph: Graph | undefined, name: string, feeds: Tensors) => {
    if (!graph) throw new Error('nothing was converted');
    return runOnnx(buildOnnxModel(graph, {}), inFolder(name), feeds, 'disabled');
  };
  const prompt = (padding: number, words: readonly number[] = [320, 1125, 539, 2368]): Tensors => {
    const data = new Int32Array(77).fill(padding);
    data.set([END - 1, ...words, END]);
    return { input_ids: { dtype: 'i32', shape: [1, 77], data } };
  };

  test('a text encoder of 2.x gives what diffusers gives, from prompts that are padded as Apple pads them', async () => {
    const [golden] = await readGoldens('test/goldens/sd21', 'text_encoder');
    const { input_ids: ids, last_hidden_state: expected } = golden?.tensors ?? {};
    if (!ids || !expected) throw new Error('not recorded');
    const data = Int32Array.from(ids.data, Number);
    data.fill(END, data.indexOf(END));
    const feeds = { input_ids: { dtype: 'i32', shape: [1, 77], data } } as const;
    const [model] = arranged(sd21, ['text_encoder']);
    const outputs = await run(model?.graph, 'sd21', feeds);
    expect(psnr(floats(expected.data), floats(outputs.last_hidden_state?.data))).toBeGreaterThan(115);
    const [plain] = built(sd21, ['text_encoder']);
    const wrong = await run(plain?.graph, 'sd21 plain', feeds);
    expect(psnr(floats(expected.data), floats(wrong.last_hidden_state?.data))).toBeLessThan(40);
  });

  test('XL’s one text encoder gives what both give, each with its own padding', async () => {
    const [one] = arranged(sdxl, ['text_encoder', 'text_encoder_2']);
    const [first, second] = built(sdxl, ['text_encoder', 'text_encoder_2']);
    const { hidden_states: all } = await run(one?.graph, 'one', prompt(END));
    const { hidden_embeds: left } = await run(first?.graph, 'first', prompt(END));
    const { hidden_embeds: right, pooled_outputs: pooled } = await run(second?.graph, 'second', prompt(0));
    const widths = [left, right, pooled].map((part) => part?.shape.at(-1) ?? 0);
    const rows = Array.from({ length: 77 }, (_, row) =>
      [left, right, pooled].flatMap((part, at) => {
        const width = widths[at] ?? 0;
        const start = part === pooled ? 0 : row * width;
        return Array.from(part?.data.slice(start, start + width) ?? [], Number);
      }),
    );
    expect(all?.shape).toEqual([1, 77, rows[0]?.length]);
    expect(Array.from(floats(all?.data))).toEqual(rows.flat());
    const { hidden_states: empty } = await run(one?.graph, 'empty', prompt(END, []));
    expect(floats(empty?.data).every((value) => value === 0)).toBe(true);
  });

  test.each(['unet', 'refiner', 'controlnet'] as const)(
    'the %s of XL computes the same from one text',
    async (name) => {
      const component = {
        unet: undefined,
        refiner: 'test/fixtures/drawing/xl-refiner',
        controlnet: 'test/fixtures/drawing/xl-controlnet',
      }[name];
      const base = sdxl;
      const opened =
        component === undefined
          ? undefined
          : await openComponent(component, { as: name === 'refiner' ? 'unet' : name });
      const components = new Map(base.components);
      if (opened) components.set(name, { ...opened, name });
      const checkpoint = { ...base, components };
      const [plain] = built(checkpoint, [name]);
      const [model] = arranged(checkpoint, [name]);
      if (!plain || !model) throw new Error('nothing was converted');
      const given = Object.fromEntries(
        plain.graph.inputs.map(({ name: input, shape }, at) => [input, random(shape.map(Number), at + 1)]),
      );
      const [text, pooled] = [given.encoder_hidden_states, given.text_embeds];
      if (!text || !pooled) throw new Error('not of XL');
      const wanted = model.graph.inputs.find((input) => input.name === 'encoder_hidden_states');
      const channels = Number(wanted?.shape[2]);
      const all = random([2, 77, channels], 9);
      const [own, width] = [text.shape[2] ?? 0, pooled.shape[1] ?? 0];
      for (let row = 0; row < 2; row++) {
        for (let token = 0; token < 77; token++) {
          const start = (row * 77 + token) * own;
          const at = (row * 77 + token + 1) * channels - width;
          all.data.set(text.data.slice(start, start + own), at - own);
          all.data.set(pooled.data.slice(row * width, (row + 1) * width), at);
        }
      }
      const size = Number(plain.graph.inputs[0]?.shape[2]) * 8;
      const ids = (score: number) => [size, size, 0, 0, ...(name === 'refiner' ? [score] : [size, size])];
      const times = [...ids(2.5), ...ids(6)];
      given.time_ids = { dtype: 'f32', shape: [2, times.length / 2], data: Float32Array.from(times) };
      const expected = await run(plain.graph, `${name} plain`, given);
      const { text_embeds: _, time_ids: __, ...three } = given;
      expect(await run(model.graph, name, { ...three, encoder_hidden_states: all })).toEqual(expected);
    },
  );
});

function random(shape: readonly number[], seed: number) {
  const count = shape.reduce((product, size) => product * size, 1);
  return { dtype: 'f32', shape, data: Float32Array.from(scattered(count, seed)) } as const;
}

function floats(data: ArrayLike<number | bigint> | undefined): Float32Array {
  return Float32Array.from(data ?? [], Number);
}
