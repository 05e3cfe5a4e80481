import { describe, expect, test } from 'vitest';
import { requireComponent } from '../../src/checkpoint/checkpoint.ts';
import { clipText } from '../../src/convert/clip-text.ts';
import { type ClipTextConfig, clipTextConfig } from '../../src/convert/config/clip-text-config.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';

import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { symbol } from '../../src/graph/dim.ts';
import { type Graph, GraphBuilder } from '../../src/graph/graph.ts';
import { Scope } from '../../src/graph/scope.ts';
import { WeightBook } from '../../src/graph/weight-book.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { elementCount } from '../../src/weights/dtype.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { memoryWeight } from '../support/memory-weight.ts';
import { mutant, recorded, recordedNetworks } from '../support/recorded-networks.ts';
import { runOnnx } from '../support/run-onnx.ts';
import { scattered } from '../support/scattered.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const { 'sd15-wide': _, ...withTextEncoders } = recorded;
const networks = recordedNetworks(withTextEncoders);
const inFolder = temporaryFolder();

/** Floors in dB: what was measured (in the comment), less 8; see unet.test.ts for what is left. */
const rows: readonly [keyof typeof withTextEncoders, Precision, floor: number][] = [
  ['sd21', 'float32', 129], // 137.1
  ['sd21', 'float16-weights', 129], // 137.1: the checkpoint is float16
  ['sd21', 'float16', 62], // 70.9
  ['sd-shapes', 'float32', 139], // 147.8
  ['sd-shapes', 'float16', 73], // 81.5
];

test.each(rows)(
  '%s in %s gives transformers’ hidden states and pooled output to %d dB',
  async (name, precision, floor) => {
    const graph = withPrecision(networks.graph(name, 'text_encoder'), precision);
    expect(await networks.agreement(name, 'text_encoder', graph)).toBeGreaterThan(floor);
  },
);

test.each<[NetworkName, Precision, floor: number]>([
  ['text_encoder', 'float32', 124], // 132.5
  ['text_encoder', 'float16', 62], // 70.2
  ['text_encoder_2', 'float32', 124], // 132.0
  ['text_encoder_2', 'float16', 55], // 63.9
])(
  'sdxl’s %s in %s gives transformers’ outputs and last hidden state but one to %d dB',
  async (model, precision, floor) => {
    const graph = withPrecision(networks.graph('sdxl', model), precision);
    expect(await networks.agreement('sdxl', model, graph)).toBeGreaterThan(floor);
  },
);

test.each(['text_encoder', 'text_encoder_2'] as const)(
  'the Core ML package of sdxl’s %s gives the last hidden state but one and the pooled output to 123 dB',
  async (model) => {
    const found = await networks.coreMlAgreement('sdxl', model, { precision: 'float32' });
    expect(found).toBeGreaterThan(123); // 131.8 and 131.1
  },
);

test('the floor is tight: with a mistaken epsilon, hidden states fall below it', async () => {
  const wrong = mutant(networks.graph('sd21', 'text_encoder'), (op) =>
    op.kind === 'layer_norm' ? { ...op, epsilon: 1e-6 } : op,
  );
  expect(await networks.agreement('sd21', 'text_encoder', wrong)).toBeLessThan(129); // 82.8
});

test.each(['sd21', 'sd-shapes'] as const)(
  '%s: the last hidden state but one is transformers’, to 130 dB',
  async (name) => {
    const component = requireComponent(networks.checkpoint(name), 'text_encoder');
    const config = clipTextConfig(component);
    const graph = textGraph(component.weights, config, ({ hidden_states }) => ({
      hidden_embeds: hidden_states.at(-2),
    }));
    expect(await networks.agreement(name, 'text_encoder', graph)).toBeGreaterThan(130); // 138.5 and 150.5
  },
);

describe('a small encoder', () => {
  const config: ClipTextConfig = {
    vocab_size: 12,
    hidden_size: 8,
    intermediate_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 6,
    hidden_act: 'quick_gelu',
    layer_norm_eps: 1e-5,
    eos_token_id: 7,
  };

  test('gives the embedding and every layer’s output, the last of which the final norm has not seen', () => {
    const builder = new GraphBuilder();
    const at = new Scope(builder, new WeightBook('the test', smallWeights(config)));
    const { hidden_states, last_hidden_state } = clipText(
      at,
      builder.input('input_ids', { dtype: 'i64', shape: [1, 6] }),
      config,
    );
    expect(hidden_states).toHaveLength(3);
    expect(last_hidden_state.inputs[0]).toBe(hidden_states[2]);
  });

  test.each<[string, eos: number, ids: number[], position: number]>([
    ['the first end-of-text token', 7, [1, 9, 7, 11, 7, 7], 2],
    ['the first token, where there is no end', 7, [1, 9, 2, 11, 3, 4], 0],
    ['the largest id, where an old config says 2', 2, [1, 2, 5, 11, 2, 11], 3],
  ])('pools at %s', async (_, eos_token_id, ids, position) => {
    const { pooled, last } = await run({ ...config, eos_token_id }, ids);
    expect(pooled).toEqual(last.slice(position * 8, position * 8 + 8));
  });

  test('lets no token see those after it', async () => {
    const [first, other] = [await run(config, [1, 2, 3, 4, 5, 6]), await run(config, [1, 2, 3, 9, 8, 7])];
    expect(other.last.slice(0, 3 * 8)).toEqual(first.last.slice(0, 3 * 8));
    for (const position of [3, 4, 5]) {
      const at = [position * 8, position * 8 + 8] as const;
      expect(other.last.slice(...at)).not.toEqual(first.last.slice(...at));
    }
  });

  async function run(of: ClipTextConfig, ids: readonly number[]) {
    const graph = textGraph(smallWeights(of), of, ({ pooled, last_hidden_state }) => ({
      pooled,
      last: last_hidden_state,
    }));
    const input_ids = { dtype: 'i64', shape: [1, 6], data: BigInt64Array.from(ids, BigInt) } as const;
    const outputs = await runOnnx(
      buildOnnxModel(graph, {}),
      inFolder(`${of.eos_token_id}-${ids.join('-')}`),
      { input_ids },
    );
    const [pooled, last] = [outputs.pooled?.data, outputs.last?.data];
    return { pooled: Array.from(pooled ?? [], Number), last: Array.from(last ?? [], Number) };
  }
});

/** A text encoder with other outputs than a contract takes. */
function textGraph(
  weights: ReadonlyMap<string, Weight>,
  config: ClipTextConfig,
  outputsOf: (
    outputs: ReturnType<typeof clipText>,
  ) => Readonly<Record<string, ReturnType<typeof clipText>['pooled'] | undefined>>,
): Graph {
  const builder = new GraphBuilder();
  const at = new Scope(builder, new WeightBook('the test', weights));
  const { max_position_embeddings: tokens } = config;
  const inputIds = builder.input('input_ids', {
    dtype: 'i64',
    shape: [symbol('batch'), tokens],
  });
  const outputs = Object.entries(outputsOf(clipText(at, inputIds, config)));
  return builder.finish(outputs.flatMap(([name, tensor]) => (tensor ? [{ name, tensor }] : [])));
}

function smallWeights(config: ClipTextConfig): ReadonlyMap<string, Weight> {
  const { hidden_size: width, intermediate_size: inner } = config;
  const shapes: Record<string, readonly number[]> = {
    'embeddings.token_embedding.weight': [config.vocab_size, width],
    'embeddings.position_embedding.weight': [config.max_position_embeddings, width],
    'final_layer_norm.weight': [width],
    'final_layer_norm.bias': [width],
  };
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `encoder.layers.${layer}`;
    for (const norm of ['layer_norm1', 'layer_norm2'])
      Object.assign(shapes, { [`${at}.${norm}.weight`]: [width], [`${at}.${norm}.bias`]: [width] });
    for (const [name, out, into] of [
      ['self_attn.q_proj', width, width],
      ['self_attn.k_proj', width, width],
      ['self_attn.v_proj', width, width],
      ['self_attn.out_proj', width, width],
      ['mlp.fc1', inner, width],
      ['mlp.fc2', width, inner],
    ] as const) {
      Object.assign(shapes, { [`${at}.${name}.weight`]: [out, into], [`${at}.${name}.bias`]: [out] });
    }
  }
  const named = Object.entries(shapes).map(([name, shape]) => [`text_model.${name}`, shape] as const);
  return new Map(
    named.map(([name, shape], seed) => [
      name,
      memoryWeight(name, shape, scattered(elementCount(shape), seed)),
    ]),
  );
}
