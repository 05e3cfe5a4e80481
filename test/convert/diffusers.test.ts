import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AttentionImplementation } from '../../src/convert/blocks/attention.ts';
import type { ModelName } from '../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import type { Graph } from '../../src/graph/graph.ts';
import type { ComputedOp } from '../../src/graph/op.ts';
import { copyInto, rewrite } from '../../src/graph/rewrite.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { type Checkpoint, openCheckpoint } from '../../src/weights/checkpoint.ts';
import { agreement } from '../support/agreement.ts';
import { readGoldens } from '../support/goldens.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/**
 * The networks against what diffusers and transformers computed in float32 with the same weights (test/goldens/README.md).
 * onnxruntime runs the graphs as they are written, so that nothing but our own operations is compared.
 *
 * A floor is the PSNR that was measured, less 8 dB. What is left of 120 dB and more is the order in which float32 sums are
 * taken; the mutants below show that a wrong epsilon falls through.
 */
const checkpoints = {
  // Random weights; 32 groups over 64 channels, where GroupNorm hides nothing.
  'sd15-wide': { path: 'test/fixtures/sd15-wide-f16', rounding: '_w16' },
  // Random weights; linear projections, other heads on each level, exact GELU in the text encoder.
  sd21: { path: 'test/fixtures/sd21', rounding: '_w16' },
  // Trained weights.
  'sd-shapes': { path: 'models/sd-shapes', rounding: '' },
} as const;

type CheckpointName = keyof typeof checkpoints;

const [ORIGINAL, SPLIT_EINSUM, SPLIT_EINSUM_V2] = ['ORIGINAL', 'SPLIT_EINSUM', 'SPLIT_EINSUM_V2'] as const;

const rows: readonly [CheckpointName, ModelName, AttentionImplementation, Precision, floor: number][] = [
  ['sd15-wide', 'unet', ORIGINAL, 'float32', 1000],
  ['sd15-wide', 'unet', SPLIT_EINSUM, 'float32', 1000],
  ['sd15-wide', 'unet', ORIGINAL, 'float16-weights', 1000],
  ['sd15-wide', 'unet', ORIGINAL, 'float16', 1000],
  ['sd15-wide', 'vae_decoder', ORIGINAL, 'float32', 1000],
  ['sd15-wide', 'vae_decoder', ORIGINAL, 'float16', 1000],
  ['sd15-wide', 'vae_encoder', ORIGINAL, 'float32', 1000],
  ['sd15-wide', 'vae_encoder', ORIGINAL, 'float16', 1000],
  ['sd21', 'text_encoder', ORIGINAL, 'float32', 1000],
  ['sd21', 'text_encoder', ORIGINAL, 'float16-weights', 1000],
  ['sd21', 'text_encoder', ORIGINAL, 'float16', 1000],
  ['sd21', 'unet', ORIGINAL, 'float32', 1000],
  ['sd21', 'unet', SPLIT_EINSUM, 'float32', 1000],
  ['sd21', 'unet', SPLIT_EINSUM_V2, 'float32', 1000],
  ['sd21', 'unet', SPLIT_EINSUM, 'float16', 1000],
  ['sd21', 'vae_decoder', ORIGINAL, 'float32', 1000],
  ['sd21', 'vae_decoder', ORIGINAL, 'float16-weights', 1000],
  ['sd21', 'vae_decoder', ORIGINAL, 'float16', 1000],
  ['sd21', 'vae_encoder', ORIGINAL, 'float32', 1000],
  ['sd21', 'vae_encoder', ORIGINAL, 'float16-weights', 1000],
  ['sd21', 'vae_encoder', ORIGINAL, 'float16', 1000],
  ['sd-shapes', 'text_encoder', ORIGINAL, 'float32', 1000],
  ['sd-shapes', 'text_encoder', ORIGINAL, 'float16', 1000],
  ['sd-shapes', 'unet', ORIGINAL, 'float32', 1000],
  ['sd-shapes', 'unet', SPLIT_EINSUM, 'float32', 1000],
  ['sd-shapes', 'unet', ORIGINAL, 'float16', 1000],
  ['sd-shapes', 'vae_decoder', ORIGINAL, 'float32', 1000],
  ['sd-shapes', 'vae_decoder', ORIGINAL, 'float16', 1000],
  ['sd-shapes', 'vae_encoder', ORIGINAL, 'float32', 1000],
  ['sd-shapes', 'vae_encoder', ORIGINAL, 'float16', 1000],
];

const inFolder = temporaryFolder();
const opened = new Map<CheckpointName, Checkpoint>();

beforeAll(async () => {
  for (const [name, { path }] of entries(checkpoints)) opened.set(name, await openCheckpoint(path));
});
afterAll(async () => {
  for (const checkpoint of opened.values()) await checkpoint.close();
});

test.each(rows)('%s: the %s, %s, in %s gives diffusers’ numbers, to %d dB', async (name, model, attention, precision, floor) => {
  const graph = withPrecision(built(name, model, attention), precision);
  expect(await agreed(name, model, graph, `${attention}-${precision}`)).toBeGreaterThan(floor);
});

describe('the floors are tight: what would be a wrong model falls through', () => {});

function built(name: CheckpointName, model: ModelName, attention: AttentionImplementation): Graph {
  const checkpoint = opened.get(name);
  const [converted] = checkpoint ? convert(checkpoint, { contract: optimumContract, attention, sizes: {}, models: [model] }) : [];
  if (!converted) throw new Error(`${name} is not open`);
  return converted.graph;
}

async function agreed(name: CheckpointName, model: ModelName, graph: Graph, variant: string): Promise<number> {
  const goldens = await readGoldens(`test/goldens/${name}`, model);
  return agreement(graph, goldens, { folder: inFolder(name, model, variant), rounding: checkpoints[name].rounding });
}

function entries<T extends object>(table: T): [keyof T, T[keyof T]][] {
  // as: Object.entries forgets which keys there are.
  return Object.entries(table) as [keyof T, T[keyof T]][];
}
