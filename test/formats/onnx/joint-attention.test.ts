import { afterAll, beforeAll, expect, test } from 'vitest';
import { attention } from '../../../src/convert/blocks/attention.ts';
import { toTokens } from '../../../src/convert/blocks/transformer.ts';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../../src/formats/onnx/write-onnx.ts';
import { symbol } from '../../../src/graph/dim.ts';
import { concat, reshapeLike, split } from '../../../src/graph/functions.ts';
import { type Graph, GraphBuilder } from '../../../src/graph/graph.ts';
import { conv2d } from '../../../src/graph/layers.ts';
import { Scope } from '../../../src/graph/scope.ts';
import { bindShape, dimAt } from '../../../src/graph/shape.ts';
import { verifyGraph } from '../../../src/graph/verify.ts';
import { WeightBook } from '../../../src/graph/weight-book.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { type LoadedModel, loadOnnx } from '../../support/run-onnx.ts';
import { scattered } from '../../support/scattered.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const [TEXT, CHANNELS, HEADS, COLOURS] = [5, 8, 2, 3];

const weights = {
  'patch.weight': memory([CHANNELS, COLOURS, 2, 2]),
  'patch.bias': memory([CHANNELS]),
  'attn.to_q.weight': memory([CHANNELS, CHANNELS]),
  'attn.to_k.weight': memory([CHANNELS, CHANNELS]),
  'attn.to_v.weight': memory([CHANNELS, CHANNELS]),
  'attn.to_out.0.weight': memory([CHANNELS, CHANNELS]),
  'attn.to_out.0.bias': memory([CHANNELS]),
};

const inFolder = temporaryFolder();
const graph = jointAttention();
const model = buildOnnxModel(graph, {});
let loaded: LoadedModel;

beforeAll(async () => {
  await writeOnnx(model, inFolder(), () => {});
  loaded = await loadOnnx(inFolder());
});
afterAll(() => loaded?.close());

test.each([
  { batch: 1, height: 4, width: 6 },
  { batch: 2, height: 8, width: 2 },
])('text and picture attend to each other and part again, in a picture of any size: %j', async (sizes) => {
  const text = input(graph.inputs[0]?.shape ?? [], sizes, 1);
  const sample = input(graph.inputs[1]?.shape ?? [], sizes, 2);
  const results = await loaded.run({ text, sample });
  const expected = plainLoops(text.data, sample.data, sizes);
  for (const { name, tensor } of graph.outputs) {
    expect(results[name]?.shape).toEqual(bindShape(tensor.shape, sizes));
    const found = Array.from(results[name]?.data ?? [], Number);
    const wanted = expected[name as keyof typeof expected];
    expect(found).toHaveLength(wanted.length);
    const error = Math.max(...found.map((value, i) => Math.abs(value - (wanted[i] ?? Number.NaN))));
    // Five sums of up to 12 float32 products one after the other, each rounded by 6e-8; the absolute error of a score is a
    // relative one of its power. Measured: 2.9e-7 of the largest element.
    expect(error / Math.max(...wanted.map(Math.abs))).toBeLessThan(1e-6);
  }
});

test('its sizes are formulas, and nothing computes with them when it runs', () => {
  const { node, valueInfo } = model.proto.graph ?? {};
  const nodes = node ?? [];
  const joined = valueInfo?.find(({ name }) => name === 'text/concat');
  const dims = joined?.type?.tensorType?.shape?.dim?.map(({ dimParam, dimValue }) => dimParam ?? dimValue);
  expect(dims).toEqual(['batch', CHANNELS, 1, 'height * width / 4 + 5']);
  // The one Shape is of the picture whose rows and columns the tokens are to have again: they do not know them.
  expect(nodes.filter(({ opType }) => opType === 'Shape').map(({ input }) => input)).toEqual([['patch']]);
  const arithmetic = [
    'Gather',
    'Cast',
    'Range',
    'Expand',
    'ConstantOfShape',
    'Div',
    'Sub',
    'Unsqueeze',
    'Split',
  ];
  expect(nodes.map(({ opType }) => opType).filter((opType) => arithmetic.includes(opType ?? ''))).toEqual([]);
});

/** Text [B,8,1,5] and the patches of a picture [B,3,H,W] as one row of tokens that attend to each other, parted again. */
function jointAttention(): Graph {
  const builder = new GraphBuilder();
  const [batch, height, width] = [symbol('batch'), symbol('height'), symbol('width')];
  const text = builder.input('text', { dtype: 'f32', shape: [batch, CHANNELS, 1, TEXT] });
  const sample = builder.input('sample', { dtype: 'f32', shape: [batch, COLOURS, height, width] });
  const stored = Object.entries(weights).map(([name, { shape, data }]) => memoryWeight(name, shape, data));
  const at = new Scope(
    builder,
    new WeightBook('the test', new Map(stored.map((weight) => [weight.name, weight]))),
  );

  const image = conv2d(at.in('patch'), sample, { stride: 2 });
  const patches = toTokens(image);
  const joint = concat([text, patches], 3);
  const attended = attention(at.in('attn'), joint, joint, { heads: HEADS, implementation: 'ORIGINAL' });
  const [words, picture] = split(attended, 3, [TEXT, dimAt(patches.shape, 3)]);
  const built = builder.finish([
    { name: 'words', tensor: words },
    { name: 'picture', tensor: reshapeLike(picture, image) },
  ]);
  verifyGraph(built);
  return built;
}

/** The same, a token at a time. */
function plainLoops(
  text: Float32Array,
  sample: Float32Array,
  { batch, height, width }: { batch: number; height: number; width: number },
): { readonly words: number[]; readonly picture: number[] } {
  const [rows, columns] = [height / 2, width / 2];
  const range = (count: number): number[] => [...Array(count).keys()];
  const sum = (count: number, term: (i: number) => number): number =>
    range(count).reduce((s, i) => s + term(i), 0);
  const product = (matrix: Float32Array, x: readonly number[]): number[] =>
    range(CHANNELS).map((o) => sum(CHANNELS, (i) => (matrix[o * CHANNELS + i] ?? 0) * (x[i] ?? 0)));

  const patch = (n: number, row: number, column: number, o: number): number =>
    (weights['patch.bias'].data[o] ?? 0) +
    sum(COLOURS * 4, (tap) => {
      const [colour, down, right] = [tap >> 2, (tap >> 1) & 1, tap & 1];
      const pixel = ((n * COLOURS + colour) * height + 2 * row + down) * width + 2 * column + right;
      return (weights['patch.weight'].data[o * COLOURS * 4 + tap] ?? 0) * (sample[pixel] ?? 0);
    });

  const attended = range(batch).map((n) => {
    const tokens = [
      ...range(TEXT).map((s) => range(CHANNELS).map((c) => text[(n * CHANNELS + c) * TEXT + s] ?? 0)),
      ...range(rows * columns).map((s) =>
        range(CHANNELS).map((c) => patch(n, Math.floor(s / columns), s % columns, c)),
      ),
    ];
    const [q = [], k = [], v = []] = (['to_q', 'to_k', 'to_v'] as const).map((name) =>
      tokens.map((token) => product(weights[`attn.${name}.weight`].data, token)),
    );
    return q.map((query) => {
      const size = CHANNELS / HEADS;
      const mixed = range(CHANNELS).map((c) => {
        const first = c - (c % size);
        const scores = k.map((key) =>
          Math.exp(sum(size, (i) => (query[first + i] ?? 0) * (key[first + i] ?? 0)) / Math.sqrt(size)),
        );
        const total = scores.reduce((s, each) => s + each, 0);
        return sum(v.length, (s) => ((scores[s] ?? 0) / total) * (v[s]?.[c] ?? 0));
      });
      return product(weights['attn.to_out.0.weight'].data, mixed).map(
        (value, c) => value + (weights['attn.to_out.0.bias'].data[c] ?? 0),
      );
    });
  });
  const channelsFirst = (from: number, to: number): number[] =>
    attended.flatMap((tokens) =>
      range(CHANNELS).flatMap((c) => tokens.slice(from, to).map((token) => token[c] ?? 0)),
    );
  return { words: channelsFirst(0, TEXT), picture: channelsFirst(TEXT, TEXT + rows * columns) };
}

function memory(shape: readonly number[]): {
  readonly shape: readonly number[];
  readonly data: Float32Array;
} {
  const count = shape.reduce((a, b) => a * b, 1);
  return { shape, data: scattered(count, count) };
}

function input(
  shape: Parameters<typeof bindShape>[0],
  sizes: Readonly<Record<string, number>>,
  seed: number,
) {
  const bound = bindShape(shape, sizes);
  return {
    dtype: 'f32' as const,
    shape: bound,
    data: scattered(
      bound.reduce((a, b) => a * b, 1),
      seed,
    ),
  };
}
