import { describe, expect, test } from 'vitest';
import { RequestError } from '../../src/errors.ts';
import type { DeclaredDim, ModelBorders, ValueInfo } from '../../src/formats/runner.ts';
import { feedsFor, recordedOutputs } from '../../src/run/feeds.ts';
import { float16Bits } from '../../src/weights/convert-dtype.ts';
import type { DType } from '../../src/weights/dtype.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

function value(name: string, dtype: DType, ...dims: DeclaredDim[]): ValueInfo {
  return { name, dtype, dims };
}

/** The UNet as optimum and as Apple declare it. */
const optimum: ModelBorders = {
  path: 'unet/model.onnx',
  inputs: [
    value('sample', 'f32', 'batch_size', 4, 'height', 'width'),
    value('timestep', 'f32'),
    value('encoder_hidden_states', 'f32', 'batch_size', 'sequence_length', 2),
  ],
  outputs: [value('out_sample', 'f32', 'batch_size', 4, 'height', 'width')],
};
const apple: ModelBorders = {
  path: 'unet.mlpackage',
  inputs: [
    value('sample', 'f16', 2, 4, 1, 1),
    value('timestep', 'f16', 2),
    value('encoder_hidden_states', 'f16', 2, 2, 1, 3),
  ],
  outputs: [value('noise_pred', 'f32', 2, 4, 1, 1)],
};

function f32(shape: readonly number[], ...values: number[]): TensorData {
  const size = shape.reduce((product, each) => product * each, 1);
  const counted = values.length === 0 ? Array.from({ length: size }, (_, i) => i) : values;
  return { dtype: 'f32', shape, data: Float32Array.from(counted) };
}

/** Two rows of three tokens of two channels, token by token; and the same channel by channel. */
const tokens = f32([2, 3, 2], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
const channels = f32([2, 2, 1, 3], 0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11);
const sample = f32([2, 4, 1, 1]);

function bag(tensors: Readonly<Record<string, TensorData>>): ReadonlyMap<string, TensorData> {
  return new Map(Object.entries(tensors));
}

const asOptimum = bag({ sample, timestep: f32([], 981), encoder_hidden_states: tokens });
const asApple = bag({ sample, timestep: f32([2], 981, 981), encoder_hidden_states: channels });

function halves({ shape, data }: TensorData): TensorData {
  return { dtype: 'f16', shape, data: Uint16Array.from(data as Float32Array, float16Bits) }; // as: f32 above
}

test.each([
  ['sample', [2, 4, 0, 1], 'height is 0'],
  ['sample', [0, 4, 1, 1], 'batch_size is 0'],
  ['encoder_hidden_states', [2, 0, 2], 'sequence_length is 0'],
])('a tensor with nothing in it is refused before a runtime sees it: %s %j', (name, shape, why) => {
  const empty = new Map([...asOptimum, [name, f32(shape)]]);
  expect(() => feedsFor(optimum, empty)).toThrow(RequestError);
  expect(() => feedsFor(optimum, empty)).toThrow(`Record it with something in it: ${why}.`);
});

describe('one recording serves both contracts', () => {
  test('an ONNX model takes what was recorded for Core ML', () => {
    expect(feedsFor(optimum, asApple)).toEqual(asOptimum);
    expect(feedsFor(optimum, asOptimum)).toEqual(asOptimum);
  });

  test('a Core ML model takes what was recorded for ONNX', () => {
    const expected = new Map([...asApple].map(([name, tensor]) => [name, halves(tensor)]));
    expect(feedsFor(apple, asOptimum)).toEqual(expected);
    expect(feedsFor(apple, asApple)).toEqual(expected);
  });

  test('text that was recorded beside Apple’s layout under its own name is found', () => {
    const { encoder_hidden_states: _, ...others } = Object.fromEntries(asApple);
    expect(feedsFor(optimum, bag({ ...others, encoder_hidden_states_diffusers: tokens }))).toEqual(asOptimum);
  });

  test.each([
    ['vae_decoder', 'latent_sample', 'z', 'sample', 'image'],
    ['vae_encoder', 'sample', 'x', 'latent_parameters', 'latent'],
    ['text_encoder', 'input_ids', 'input_ids', 'pooler_output', 'pooled_outputs'],
    ['text_encoder_2', 'input_ids', 'input_ids', 'text_embeds', 'pooled_outputs'],
    ['unet', 'sample', 'sample', 'out_sample', 'noise_pred'],
  ])('%s: %s is %s, and %s is %s', (path, input, appleInput, output, appleOutput) => {
    const pairs = [
      [input, output, appleInput, appleOutput],
      [appleInput, appleOutput, input, output],
    ] as const;
    for (const [ownInput, ownOutput, otherInput, otherOutput] of pairs) {
      const model = { path, inputs: [value(ownInput, 'f32', 1)], outputs: [value(ownOutput, 'f32', 1)] };
      const recorded = bag({ [otherInput]: f32([1], 1), [otherOutput]: f32([1], 2) });
      expect(feedsFor(model, recorded)).toEqual(bag({ [ownInput]: f32([1], 1) }));
      expect(recordedOutputs(model, recorded)).toEqual(bag({ [ownOutput]: f32([1], 2) }));
    }
  });

  test('one value a row is the same with as many dimensions of one as a model declares', () => {
    const flagged = (...dims: DeclaredDim[]) => ({
      path: 'safety_checker',
      inputs: [],
      outputs: [value('has_nsfw_concepts', 'f32', ...dims)],
    });
    const recorded = (shape: readonly number[]) => bag({ has_nsfw_concepts: f32(shape, 1) });
    expect(recordedOutputs(flagged('batch_size'), recorded([1, 1, 1, 1]))).toEqual(recorded([1]));
    expect(recordedOutputs(flagged(1, 1, 1, 1), recorded([1]))).toEqual(recorded([1, 1, 1, 1]));
  });

  test('the sizes that SDXL is told are rows, or as in older Core ML models one row', () => {
    const sizes = f32([2, 6]);
    const told = (...dims: DeclaredDim[]) =>
      feedsFor(
        { path: 'unet', inputs: [value('time_ids', 'f32', ...dims)], outputs: [] },
        bag({ time_ids: sizes }),
      );
    expect(told(12).get('time_ids')).toEqual({ ...sizes, shape: [12] });
    expect(told('batch_size', 6).get('time_ids')).toEqual(sizes);
  });

  test('Apple’s last residual of a ControlNet is diffusers’ residual of the middle block', () => {
    const diffusers = [
      'down_block_additional_residual_0',
      'down_block_additional_residual_1',
      'mid_block_additional_residual',
    ];
    const numbered = ['additional_residual_0', 'additional_residual_1', 'additional_residual_2'];
    for (const [own, other] of [
      [diffusers, numbered],
      [numbered, diffusers],
    ] as const) {
      const model = { path: 'unet', inputs: own.map((name) => value(name, 'f32', 1)), outputs: [] };
      const feeds = feedsFor(model, new Map(other.map((name, i) => [name, f32([1], i)])));
      expect([...feeds.values()]).toEqual([f32([1], 0), f32([1], 1), f32([1], 2)]);
    }
  });

  test('Apple’s hidden_embeds is the last but one of SDXL’s hidden states', () => {
    const states = ['hidden_states.0', 'hidden_states.1', 'hidden_states.2'];
    const ours = { path: 'text_encoder', inputs: [], outputs: states.map((name) => value(name, 'f32', 1)) };
    const apples = { path: 'text_encoder', inputs: [], outputs: [value('hidden_embeds', 'f32', 1)] };
    expect(recordedOutputs(ours, bag({ hidden_embeds: f32([1], 7) }))).toEqual(
      bag({ 'hidden_states.1': f32([1], 7) }),
    );
    const recorded = new Map(states.map((name, i) => [name, f32([1], i)]));
    expect(recordedOutputs(apples, recorded)).toEqual(bag({ hidden_embeds: f32([1], 1) }));
  });
});

describe('dtypes', () => {
  test('token ids go from and to any integer, and to the float32 that Core ML takes', () => {
    const ids: TensorData = { dtype: 'i32', shape: [3], data: Int32Array.of(49406, 0, -1) };
    const as = (dtype: DType) =>
      feedsFor({ path: '', inputs: [value('input_ids', dtype, 3)], outputs: [] }, bag({ input_ids: ids }));
    expect(as('i64').get('input_ids')?.data).toEqual(BigInt64Array.of(49406n, 0n, -1n));
    expect(as('f32').get('input_ids')?.data).toEqual(Float32Array.of(49406, 0, -1));
  });

  test.each([
    ['i64', 0.5],
    ['i32', Number.NaN],
    ['u8', 256],
    ['i8', -129],
    ['bool', 2],
  ] as const)('%s is not made of %d', (dtype, number) => {
    const model = { path: 'm', inputs: [value('input_ids', dtype, 1)], outputs: [] };
    expect(() => feedsFor(model, bag({ input_ids: f32([1], number) }))).toThrow(
      `f32 with the value ${number}`,
    );
  });
});

/** The error's parts; it must be the request's fault. */
function refusal(action: () => unknown): RequestError {
  try {
    action();
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe('inputs that do not fit are named, with what was expected and found', () => {
  const change = (tensors: Readonly<Record<string, TensorData>>) => new Map([...asOptimum, ...bag(tensors)]);

  test('a missing one', () => {
    const { message } = refusal(() => feedsFor(optimum, bag({ sample, timestep: f32([], 1) })));
    expect(message).toContain('needs the input encoder_hidden_states');
    expect(message).toContain('encoder_hidden_states f32 [batch_size, sequence_length, 2]');
    expect(message).toContain('sample [2, 4, 1, 1], timestep []');
  });

  test.each([
    ['another number of channels', f32([2, 3, 1, 1]), '[2, 3, 1, 1]'],
    ['another rank', f32([4, 1, 1]), '[4, 1, 1]'],
  ])('%s', (_, wrong, found) => {
    const { problem, details } = refusal(() => feedsFor(optimum, change({ sample: wrong })));
    expect(problem).toBe('sample does not have the shape that unet/model.onnx takes.');
    expect(details).toEqual({ expected: 'sample f32 [batch_size, 4, height, width]', found });
  });

  test('those of another network are told as such, where a name is the same and where none is', () => {
    const decoded = bag({ latent_sample: f32([1, 4, 1, 1]), sample: f32([1, 3, 8, 8]) });
    expect(refusal(() => feedsFor(optimum, decoded)).problem).toBe(
      'unet/model.onnx is the UNet, and the tensors are those of the VAE decoder.',
    );
    const decoder = { path: 'vae', inputs: [value('latent_sample', 'f32', 1, 4, 1, 1)], outputs: [] };
    expect(refusal(() => feedsFor(decoder, asOptimum)).problem).toBe(
      'vae is the VAE decoder, and the tensors are those of the UNet.',
    );
  });

  test('a free size that differs between two inputs', () => {
    const { message } = refusal(() => feedsFor(optimum, change({ encoder_hidden_states: f32([1, 3, 2]) })));
    expect(message).toContain('batch_size is 2 in sample; it must be the same in all.');
  });

  test('rows with different timesteps, where the model takes one for all', () => {
    const { message } = refusal(() => feedsFor(optimum, change({ timestep: f32([2], 981, 961) })));
    expect(message).toContain('981, 961');
    expect(feedsFor(apple, change({ timestep: f32([2], 981, 961) })).get('timestep')).toEqual(
      halves(f32([2], 981, 961)),
    );
  });
});
