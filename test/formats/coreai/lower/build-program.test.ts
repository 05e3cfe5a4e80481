import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Checkpoint } from '../../../../src/checkpoint/checkpoint.ts';
import { openCheckpoint } from '../../../../src/checkpoint/open-checkpoint.ts';
import type { AttentionImplementation } from '../../../../src/convert/blocks/attention.ts';
import { optimumContract } from '../../../../src/convert/contracts/optimum.ts';
import { convert } from '../../../../src/convert/convert.ts';
import type { NetworkName } from '../../../../src/convert/networks/networks.ts';
import { buildProgram } from '../../../../src/formats/coreai/lower/build-program.ts';
import type { Program } from '../../../../src/formats/coreai/program.ts';
import { sdShapes } from '../../../support/sd-shapes.ts';

let checkpoint: Checkpoint;
beforeAll(async () => {
  checkpoint = await openCheckpoint(sdShapes);
});
afterAll(() => checkpoint.close());

function program(model: NetworkName, attention: AttentionImplementation = 'ORIGINAL'): Program {
  const contract = { ...optimumContract, fixedSizes: true, rows: (count: number) => count, size: fixedSize };
  const [converted] = convert(checkpoint, { contract, attention, sizes: {}, models: [model] });
  if (!converted) throw new Error('nothing was converted');
  return buildProgram(converted.graph);
}

function fixedSize(fixed: number | undefined, _free: string, usual?: number): number {
  return fixed ?? usual ?? 64;
}

/** How often each operation is in `main`; calls count as what they call. */
function counts({ graphs }: Program): ReadonlyMap<string, number> {
  const declared = new Map(graphs.map(({ name, declaration }) => [name, declaration?.name ?? name]));
  const found = new Map<string, number>();
  for (const { name, properties } of graphs.find((graph) => graph.name === 'main')?.operations ?? []) {
    const called = properties.find((each) => each?.kind === 'parameter')?.value;
    const key = called?.kind === 'symbol' ? (declared.get(called.path[0] ?? '') ?? '') : name;
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return found;
}

// What Apple's exporter (coreai-torch 0.4.3) writes for the UNet of Stable Diffusion 1.5.
test('the UNet has no more operations of any kind than Apple’s exporter writes', () => {
  const found = counts(program('unet'));
  expect(found.get('group_norm')).toBe(61);
  expect(found.get('layer_norm')).toBe(48);
  expect(found.get('scaled_dot_product_attention')).toBe(32);
  expect(found.get('silu_v1')).toBe(47);
  expect(found.get('primitive.gelu_v1')).toBe(16);
  expect(found.get('broadcasting_batch_matmul_v1')).toBe(184);
  expect(found.get('primitive.conv2d_v1')).toBe(97);
  expect(found.get('primitive.pad_v1')).toBe(52);
  expect(found.get('primitive.transpose_v1')).toBeLessThanOrEqual(344);
  expect(found.get('primitive.reshape_v2')).toBeLessThanOrEqual(215);
});

test('all attention of a text encoder and of a VAE is found', () => {
  expect(counts(program('text_encoder')).get('scaled_dot_product_attention')).toBe(4);
  expect(counts(program('vae_decoder')).get('scaled_dot_product_attention')).toBe(1);
});

test('attention that was split into heads stays as it was split', () => {
  const found = counts(program('unet', 'SPLIT_EINSUM'));
  expect(found.get('scaled_dot_product_attention')).toBeUndefined();
  expect(found.get('softmax_v1')).toBeGreaterThan(32);
});

test('private graphs come before what calls them, each once', () => {
  const { graphs } = program('unet');
  const names = graphs.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.at(-1)).toBe('main');
  for (const { isPublic, declaration, name } of graphs) {
    expect(isPublic).toBe(name === 'main');
    expect(declaration === undefined).toBe(name === 'main');
  }
});
