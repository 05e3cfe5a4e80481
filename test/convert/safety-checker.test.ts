import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Checkpoint, Component } from '../../src/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../src/checkpoint/open-checkpoint.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import type { Contract, Sizes } from '../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert, type Model } from '../../src/convert/convert.ts';
import { ConfigError } from '../../src/errors.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { Op } from '../../src/graph/op.ts';
import { formatShape } from '../../src/graph/shape.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { psnr } from '../../src/validate/psnr.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';
import { fullSizeCheckpoint } from '../support/full-size.ts';
import { expectedOf, floatsOf, type Golden, readGoldens } from '../support/goldens.ts';
import { unreadWeight } from '../support/memory-weight.ts';
import { mutant } from '../support/recorded-networks.ts';
import { type NetworkRequest, writtenNetwork } from '../support/run-network.ts';
import { scattered } from '../support/scattered.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { thrownBy } from '../support/thrown-by.ts';

const inFolder = temporaryFolder();
let checkpoint: Checkpoint;
let recorded: { readonly plain: Golden; readonly flagged: Golden; readonly strict: Golden };
beforeAll(async () => {
  checkpoint = await openCheckpoint('test/fixtures/safety-checker');
  const goldens = await readGoldens('test/goldens/safety-checker', 'safety_checker');
  const named = (name: string): Golden => {
    const golden = goldens.find((each) => each.name === name);
    if (!golden) throw new Error(`${name} is not recorded`);
    return golden;
  };
  recorded = {
    plain: named('safety_checker'),
    flagged: named('safety_checker.case1'),
    strict: named('safety_checker.case2'),
  };
});
afterAll(() => checkpoint.close());

/** Floors in dB for the concepts' scores: what was measured (in the comment), less 8. */
const rows: readonly [Precision, onnx: number, coreml: number][] = [
  ['float32', 123, 124], // 131.7, 132.1
  ['float16', 65, 62], // 73.7, 70.2
];

describe.each(rows)('the safety checker in %s', (precision, onnxFloor, coremlFloor) => {
  test('for ONNX: of two pictures the bad one goes black, the other comes out as it went in', async () => {
    const images = picture([2, 6, 5, 3]);
    const outputs = await run(
      { model: 'safety_checker', format: 'onnx', precision },
      { clip_input: stacked([recorded.plain, recorded.flagged], 'clip_input'), images },
    );
    expect([...(outputs.get('has_nsfw_concepts')?.data ?? [])]).toEqual([0, 1]);
    expect(outputs.get('has_nsfw_concepts')?.dtype).toBe('bool');
    expect(outputs.get('out_images')).toEqual({
      ...images,
      data: images.data.fill(0, images.data.length / 2),
    });
  });

  test(`for ONNX: its scores are diffusers’ to ${onnxFloor} dB`, async () => {
    const outputs = await run(
      { model: 'safety_checker', format: 'onnx', precision, contract: withScores },
      {
        clip_input: stacked([recorded.plain, recorded.flagged], 'clip_input'),
        ...unusedInputs,
      },
    );
    for (const [row, golden] of [recorded.plain, recorded.flagged].entries()) {
      const scores = float32(outputs, 'concept_scores').data.subarray(17 * row, 17 * row + 17);
      const rounding = precision === 'float32' ? '' : '_w16';
      expect(psnr(expectedOf(golden, 'concept_scores', rounding), scores)).toBeGreaterThan(onnxFloor);
    }
  });

  test.each(['plain', 'flagged', 'strict'] as const)(
    `for Core ML: %s, its flag, picture and scores are diffusers’, the scores to ${coremlFloor} dB`,
    async (name) => {
      const golden = recorded[name];
      const images = picture([1, 512, 512, 3]);
      const outputs = await run(
        { model: 'safety_checker', format: 'coreml', precision },
        {
          clip_input: floatsOf(name === 'strict' ? recorded.plain : golden, 'clip_input'),
          images,
          adjustment: floatsOf(golden, 'adjustment'),
        },
      );
      const flag = floatsOf(golden, 'has_nsfw_concepts');
      expect(outputs.get('has_nsfw_concepts')).toEqual(flag);
      expect(float32(outputs, 'filtered_images').data).toEqual(
        flag.data[0] ? images.data.fill(0) : images.data,
      );
      const rounding = precision === 'float32' ? '' : '_w16';
      const scores = expectedOf(golden, 'concept_scores', rounding);
      expect(psnr(scores, float32(outputs, 'concept_scores').data)).toBeGreaterThan(coremlFloor);
    },
  );
});

test.each(['onnx', 'coreml'] as const)(
  'for %s: a picture that it cannot judge is flagged',
  async (format) => {
    const { shape, data } = floatsOf(recorded.plain, 'clip_input');
    const images = picture(format === 'onnx' ? [1, 6, 5, 3] : [1, 512, 512, 3]);
    const outputs = await run(
      { model: 'safety_checker', format, precision: 'float32' },
      {
        clip_input: { dtype: 'f32', shape, data: new Float32Array(data.length).fill(Number.NaN) },
        images,
        ...(format === 'coreml' && { adjustment: unusedInputs.adjustment }),
      },
    );
    expect([...(outputs.get('has_nsfw_concepts')?.data ?? [])]).toEqual([1]);
  },
);

test('the floor is tight: with a mistaken epsilon, scores fall below it', async () => {
  const withEpsilon = (op: Op): Op => (op.kind === 'layer_norm' ? { ...op, epsilon: 2e-5 } : op);
  const change = (graph: Graph): Graph => mutant(graph, withEpsilon);
  const outputs = await run(
    { model: 'safety_checker', format: 'onnx', precision: 'float32', contract: withScores, change },
    {
      clip_input: stacked([recorded.plain, recorded.flagged], 'clip_input'),
      ...unusedInputs,
    },
  );
  const scores = float32(outputs, 'concept_scores').data.subarray(0, 17);
  expect(psnr(expectedOf(recorded.plain, 'concept_scores', ''), scores)).toBeLessThan(123); // 88.4
});

describe('CLIP ViT-L/14 at full size', () => {
  const checker = fullSizeCheckpoint('safety-checker');

  test.each([
    [
      'ONNX',
      optimumContract,
      [
        'in  clip_input f32 [batch_size, 3, 224, 224]',
        'in  images f32 [batch_size, height, width, 3]',
        'out out_images f32 [batch_size, height, width, 3]',
        'out has_nsfw_concepts bool [batch_size]',
      ],
    ],
    [
      'Core ML, for pictures of 512 × 512 whatever is drawn',
      appleContract,
      [
        'in  clip_input f16 [1, 3, 224, 224]',
        'in  images f16 [1, 512, 512, 3]',
        'in  adjustment f16 [1]',
        'out filtered_images f32 [1, 512, 512, 3]',
        'out has_nsfw_concepts f32 [1, 1, 1, 1]',
        'out concept_scores f32 [1, 17]',
      ],
    ],
  ])('takes and gives for %s what its consumers do', (_, contract, borders) => {
    const sizes = { latentHeight: 96, latentWidth: 96 };
    expect(bordersOf(build(checker, contract, sizes).graph)).toEqual(borders);
  });

  test('in float16 the cosines and what follows from them are float32, and nothing else', () => {
    const { graph } = build(checker, appleContract);
    const rewritten = withPrecision(graph, 'float16');
    verifyGraph(rewritten);
    expect(bordersOf(rewritten)).toEqual(bordersOf(graph));
    const wide = rewritten.tensors.filter(
      ({ op, dtype }) => dtype === 'f32' && op.kind !== 'cast' && op.kind !== 'constant',
    );
    expect(wide[0]?.op.kind).toBe('normalize');
    expect(wide.filter(({ name }) => name.startsWith('vision_model'))).toEqual([]);
    expect(wide.filter(({ op }) => op.kind === 'weight')).toEqual([]);
    expect(Math.max(...wide.map(({ inputs }) => inputs.length))).toBeLessThan(3);
  });
});

test('a list of positions, which the published file carries, is no stranger, and nothing else is let pass', () => {
  const name = 'vision_model.vision_model.embeddings.position_ids';
  expect([...(checkpoint.components.get('safety_checker')?.weights.keys() ?? [])]).toContain(name);
  expect(() => build(withWeight('vision_model.vision_model.embeddings.extra'), optimumContract)).toThrow(
    'the safety checker has no use for 1 weight',
  );
});

test.each([
  [{ projection_dim: 512 }, 'projection_dim is 512, but the weights have 48'],
  [{ vision_config: { patch_size: 16 } }, 'vision_config.hidden_size is 768, but the weights have 64'],
])('a config that contradicts the weights is refused: %j', (config, problem) => {
  const error = thrownBy(() => build(withConfig(config), optimumContract));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(problem);
});

test.each([0, 13, 448, 1e9])(
  'a picture of another size than the weights have places for is refused: %d',
  (image_size) => {
    const { vision_config: vision } = checkpoint.components.get('safety_checker')?.config ?? {};
    const changed = { vision_config: { ...Object(vision), image_size } };
    const error = thrownBy(() => build(withConfig(changed), optimumContract));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toMatch(
      /vision_config\.image_size = \d+ makes \d+ patches, but the weights have 256/,
    );
  },
);

function build(from: Checkpoint, contract: Contract, sizes: Sizes = {}): Model {
  const options = { contract, attention: 'ORIGINAL', sizes, models: ['safety_checker'] } as const;
  const [model] = convert(from, options);
  if (!model) throw new Error('nothing was built');
  return model;
}

function bordersOf({ inputs, outputs }: Graph): string[] {
  return [
    ...inputs.map(({ name, dtype, shape }) => `in  ${name} ${dtype} ${formatShape(shape)}`),
    ...outputs.map(({ name, tensor: { dtype, shape } }) => `out ${name} ${dtype} ${formatShape(shape)}`),
  ];
}

/** The safety checker, changed. */
function withComponent(change: (component: Component) => Partial<Component>): Checkpoint {
  const component = checkpoint.components.get('safety_checker');
  if (!component) throw new Error('there is no safety checker');
  return {
    ...checkpoint,
    components: new Map([['safety_checker', { ...component, ...change(component) }]]),
  };
}

function withConfig(config: JsonObject): Checkpoint {
  return withComponent((component) => ({ config: { ...component.config, ...config } }));
}

function withWeight(name: string): Checkpoint {
  return withComponent(({ weights }) => ({
    weights: new Map([...weights, [name, unreadWeight(name, [1])]]),
  }));
}

/** ONNX's sizes and dtypes, but Apple's outputs: the scores, which optimum does not read, are among them. */
const withScores: Contract = { ...optimumContract, name: 'apple' };

async function run(
  request: NetworkRequest,
  feeds: Readonly<Record<string, TensorData<'f32'>>>,
): Promise<TensorMap> {
  const { format, precision } = request;
  const runner = await writtenNetwork(checkpoint, request, inFolder(`${format}-${precision}-${runs++}`));
  try {
    return await runner.run(new Map(Object.entries(feeds)));
  } finally {
    await runner.close();
  }
}
let runs = 0;

/** What the scores do not depend on. */
const unusedInputs = {
  images: picture([2, 6, 5, 3]),
  adjustment: { dtype: 'f32', shape: [1], data: Float32Array.of(0) },
} as const;

/** Numbers from 0 to 1 that float16 holds. */
function picture(shape: readonly number[]): TensorData<'f32'> {
  const data = scattered(elementCount(shape), 1).map((value) => Math.round((value + 1) * 512) / 1024);
  return { dtype: 'f32', shape, data };
}

function stacked(goldens: readonly Golden[], name: string): TensorData<'f32'> {
  const rows = goldens.map((golden) => floatsOf(golden, name));
  return {
    dtype: 'f32',
    shape: [rows.length, ...(rows[0]?.shape.slice(1) ?? [])],
    data: Float32Array.from(rows.flatMap(({ data }) => [...data])),
  };
}

function float32(outputs: TensorMap, name: string): TensorData<'f32'> {
  const tensor = outputs.get(name);
  if (tensor?.dtype !== 'f32') throw new Error(`${name} is not float32`);
  return tensor;
}
