import { expect, test } from 'vitest';
import type { AttentionImplementation } from '../../../src/convert/blocks/attention.ts';
import { transformer2d } from '../../../src/convert/blocks/transformer.ts';
import { symbol } from '../../../src/graph/dim.ts';
import { printGraph } from '../../../src/graph/print.ts';
import type { Shape } from '../../../src/graph/shape.ts';
import { headerScope } from '../../support/header-checkpoint.ts';

// Eight channels in two heads, attending to themselves and to a text of twelve channels.
const weights = {
  'norm.weight': [8],
  'norm.bias': [8],
  'proj_in.weight': [8, 8, 1, 1],
  'proj_in.bias': [8],
  'transformer_blocks.0.norm1.weight': [8],
  'transformer_blocks.0.norm1.bias': [8],
  'transformer_blocks.0.attn1.to_q.weight': [8, 8],
  'transformer_blocks.0.attn1.to_k.weight': [8, 8],
  'transformer_blocks.0.attn1.to_v.weight': [8, 8],
  'transformer_blocks.0.attn1.to_out.0.weight': [8, 8],
  'transformer_blocks.0.attn1.to_out.0.bias': [8],
  'transformer_blocks.0.norm2.weight': [8],
  'transformer_blocks.0.norm2.bias': [8],
  'transformer_blocks.0.attn2.to_q.weight': [8, 8],
  'transformer_blocks.0.attn2.to_k.weight': [8, 12],
  'transformer_blocks.0.attn2.to_v.weight': [8, 12],
  'transformer_blocks.0.attn2.to_out.0.weight': [8, 8],
  'transformer_blocks.0.attn2.to_out.0.bias': [8],
  'transformer_blocks.0.norm3.weight': [8],
  'transformer_blocks.0.norm3.bias': [8],
  'transformer_blocks.0.ff.net.0.proj.weight': [64, 8],
  'transformer_blocks.0.ff.net.0.proj.bias': [64],
  'transformer_blocks.0.ff.net.2.weight': [8, 32],
  'transformer_blocks.0.ff.net.2.bias': [8],
  'proj_out.weight': [8, 8],
  'proj_out.bias': [8],
};

test('ORIGINAL: all heads at once, in any size of image', () => {
  const image = [symbol('batch'), 8, symbol('height'), symbol('width')];
  expect(printed('ORIGINAL', image, [symbol('batch'), 12, 1, 77])).toMatchInlineSnapshot(`
    "input x: f32 [batch, 8, height, width]
    input context: f32 [batch, 12, 1, 77]
    norm = group_norm(x, norm.weight [8], norm.bias [8]) groups=4 epsilon=0.000001: f32 [batch, 8, height, width]
    norm/reshape = reshape(norm) shape=[batch, 8, 1, height * width]: f32 [batch, 8, 1, height * width]
    proj_in = conv2d(norm/reshape, proj_in.weight [8, 8, 1, 1], proj_in.bias [8]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.norm1 = layer_norm(proj_in, transformer_blocks.0.norm1.weight [8], transformer_blocks.0.norm1.bias [8]) axis=1 epsilon=0.00001: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn1.to_q = conv2d(transformer_blocks.0.norm1, transformer_blocks.0.attn1.to_q.weight [8, 8, 1, 1]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn1.to_k = conv2d(transformer_blocks.0.norm1, transformer_blocks.0.attn1.to_k.weight [8, 8, 1, 1]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn1.to_v = conv2d(transformer_blocks.0.norm1, transformer_blocks.0.attn1.to_v.weight [8, 8, 1, 1]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn1.to_q/mul = mul(transformer_blocks.0.attn1.to_q, 0.5): f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn1.to_q/reshape = reshape(transformer_blocks.0.attn1.to_q/mul) shape=[batch, 2, 4, height * width]: f32 [batch, 2, 4, height * width]
    transformer_blocks.0.attn1.to_k/reshape = reshape(transformer_blocks.0.attn1.to_k) shape=[batch, 2, 4, height * width]: f32 [batch, 2, 4, height * width]
    transformer_blocks.0.attn1.to_q/matmul = matmul(transformer_blocks.0.attn1.to_q/reshape, transformer_blocks.0.attn1.to_k/reshape) transposeA=true transposeB=false: f32 [batch, 2, height * width, height * width]
    transformer_blocks.0.attn1.to_v/reshape = reshape(transformer_blocks.0.attn1.to_v) shape=[batch, 2, 4, height * width]: f32 [batch, 2, 4, height * width]
    transformer_blocks.0.attn1.to_q/softmax = softmax(transformer_blocks.0.attn1.to_q/matmul) axis=3: f32 [batch, 2, height * width, height * width]
    transformer_blocks.0.attn1.to_v/matmul = matmul(transformer_blocks.0.attn1.to_v/reshape, transformer_blocks.0.attn1.to_q/softmax) transposeA=false transposeB=true: f32 [batch, 2, 4, height * width]
    transformer_blocks.0.attn1.to_v/reshape_2 = reshape(transformer_blocks.0.attn1.to_v/matmul) shape=[batch, 8, 1, height * width]: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn1.to_out.0 = conv2d(transformer_blocks.0.attn1.to_v/reshape_2, transformer_blocks.0.attn1.to_out.0.weight [8, 8, 1, 1], transformer_blocks.0.attn1.to_out.0.bias [8]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    proj_in/add = add(proj_in, transformer_blocks.0.attn1.to_out.0): f32 [batch, 8, 1, height * width]
    transformer_blocks.0.norm2 = layer_norm(proj_in/add, transformer_blocks.0.norm2.weight [8], transformer_blocks.0.norm2.bias [8]) axis=1 epsilon=0.00001: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn2.to_q = conv2d(transformer_blocks.0.norm2, transformer_blocks.0.attn2.to_q.weight [8, 8, 1, 1]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn2.to_k = conv2d(context, transformer_blocks.0.attn2.to_k.weight [8, 12, 1, 1]) stride=1 pads=0: f32 [batch, 8, 1, 77]
    transformer_blocks.0.attn2.to_v = conv2d(context, transformer_blocks.0.attn2.to_v.weight [8, 12, 1, 1]) stride=1 pads=0: f32 [batch, 8, 1, 77]
    transformer_blocks.0.attn2.to_q/mul = mul(transformer_blocks.0.attn2.to_q, 0.5): f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn2.to_q/reshape = reshape(transformer_blocks.0.attn2.to_q/mul) shape=[batch, 2, 4, height * width]: f32 [batch, 2, 4, height * width]
    transformer_blocks.0.attn2.to_k/reshape = reshape(transformer_blocks.0.attn2.to_k) shape=[batch, 2, 4, 77]: f32 [batch, 2, 4, 77]
    transformer_blocks.0.attn2.to_q/matmul = matmul(transformer_blocks.0.attn2.to_q/reshape, transformer_blocks.0.attn2.to_k/reshape) transposeA=true transposeB=false: f32 [batch, 2, height * width, 77]
    transformer_blocks.0.attn2.to_v/reshape = reshape(transformer_blocks.0.attn2.to_v) shape=[batch, 2, 4, 77]: f32 [batch, 2, 4, 77]
    transformer_blocks.0.attn2.to_q/softmax = softmax(transformer_blocks.0.attn2.to_q/matmul) axis=3: f32 [batch, 2, height * width, 77]
    transformer_blocks.0.attn2.to_v/matmul = matmul(transformer_blocks.0.attn2.to_v/reshape, transformer_blocks.0.attn2.to_q/softmax) transposeA=false transposeB=true: f32 [batch, 2, 4, height * width]
    transformer_blocks.0.attn2.to_v/reshape_2 = reshape(transformer_blocks.0.attn2.to_v/matmul) shape=[batch, 8, 1, height * width]: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.attn2.to_out.0 = conv2d(transformer_blocks.0.attn2.to_v/reshape_2, transformer_blocks.0.attn2.to_out.0.weight [8, 8, 1, 1], transformer_blocks.0.attn2.to_out.0.bias [8]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    proj_in/add_2 = add(proj_in/add, transformer_blocks.0.attn2.to_out.0): f32 [batch, 8, 1, height * width]
    transformer_blocks.0.norm3 = layer_norm(proj_in/add_2, transformer_blocks.0.norm3.weight [8], transformer_blocks.0.norm3.bias [8]) axis=1 epsilon=0.00001: f32 [batch, 8, 1, height * width]
    transformer_blocks.0.ff.net.0.proj = conv2d(transformer_blocks.0.norm3, transformer_blocks.0.ff.net.0.proj.weight [64, 8, 1, 1], transformer_blocks.0.ff.net.0.proj.bias [64]) stride=1 pads=0: f32 [batch, 64, 1, height * width]
    transformer_blocks.0.ff.net.0.proj/slice = slice(transformer_blocks.0.ff.net.0.proj) axis=1 start=0 end=32: f32 [batch, 32, 1, height * width]
    transformer_blocks.0.ff.net.0.proj/slice_2 = slice(transformer_blocks.0.ff.net.0.proj) axis=1 start=32 end=64: f32 [batch, 32, 1, height * width]
    transformer_blocks.0.ff.net.0.proj/gelu = gelu(transformer_blocks.0.ff.net.0.proj/slice_2): f32 [batch, 32, 1, height * width]
    transformer_blocks.0.ff.net.0.proj/mul = mul(transformer_blocks.0.ff.net.0.proj/slice, transformer_blocks.0.ff.net.0.proj/gelu): f32 [batch, 32, 1, height * width]
    transformer_blocks.0.ff.net.2 = conv2d(transformer_blocks.0.ff.net.0.proj/mul, transformer_blocks.0.ff.net.2.weight [8, 32, 1, 1], transformer_blocks.0.ff.net.2.bias [8]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    proj_in/add_3 = add(proj_in/add_2, transformer_blocks.0.ff.net.2): f32 [batch, 8, 1, height * width]
    proj_out = conv2d(proj_in/add_3, proj_out.weight [8, 8, 1, 1], proj_out.bias [8]) stride=1 pads=0: f32 [batch, 8, 1, height * width]
    proj_out/reshape_like = reshape_like(proj_out, x): f32 [batch, 8, height, width]
    proj_out/add = add(proj_out/reshape_like, x): f32 [batch, 8, height, width]
    return y = proj_out/add"
  `);
});

test('SPLIT_EINSUM: a head at a time, channels first', () => {
  const lines = printed('SPLIT_EINSUM', [2, 8, 4, 4], [2, 12, 1, 77]).split('\n');
  const attention = lines.filter((line) => line.startsWith('transformer_blocks.0.attn2'));
  expect(attention.join('\n')).toMatchInlineSnapshot(`
    "transformer_blocks.0.attn2.to_q = conv2d(transformer_blocks.0.norm2, transformer_blocks.0.attn2.to_q.weight [8, 8, 1, 1]) stride=1 pads=0: f32 [2, 8, 1, 16]
    transformer_blocks.0.attn2.to_k = conv2d(context, transformer_blocks.0.attn2.to_k.weight [8, 12, 1, 1]) stride=1 pads=0: f32 [2, 8, 1, 77]
    transformer_blocks.0.attn2.to_v = conv2d(context, transformer_blocks.0.attn2.to_v.weight [8, 12, 1, 1]) stride=1 pads=0: f32 [2, 8, 1, 77]
    transformer_blocks.0.attn2.to_q/mul = mul(transformer_blocks.0.attn2.to_q, 0.5): f32 [2, 8, 1, 16]
    transformer_blocks.0.attn2.to_k/transpose = transpose(transformer_blocks.0.attn2.to_k) perm=[0, 3, 2, 1]: f32 [2, 77, 1, 8]
    transformer_blocks.0.attn2.to_q/slice = slice(transformer_blocks.0.attn2.to_q/mul) axis=1 start=0 end=4: f32 [2, 4, 1, 16]
    transformer_blocks.0.attn2.to_k/slice = slice(transformer_blocks.0.attn2.to_k/transpose) axis=3 start=0 end=4: f32 [2, 77, 1, 4]
    transformer_blocks.0.attn2.to_v/slice = slice(transformer_blocks.0.attn2.to_v) axis=1 start=0 end=4: f32 [2, 4, 1, 77]
    transformer_blocks.0.attn2.to_q/slice_2 = slice(transformer_blocks.0.attn2.to_q/mul) axis=1 start=4 end=8: f32 [2, 4, 1, 16]
    transformer_blocks.0.attn2.to_k/slice_2 = slice(transformer_blocks.0.attn2.to_k/transpose) axis=3 start=4 end=8: f32 [2, 77, 1, 4]
    transformer_blocks.0.attn2.to_v/slice_2 = slice(transformer_blocks.0.attn2.to_v) axis=1 start=4 end=8: f32 [2, 4, 1, 77]
    transformer_blocks.0.attn2.to_k/einsum = einsum(transformer_blocks.0.attn2.to_k/slice, transformer_blocks.0.attn2.to_q/slice) equation=bkhc,bchq->bkhq: f32 [2, 77, 1, 16]
    transformer_blocks.0.attn2.to_k/softmax = softmax(transformer_blocks.0.attn2.to_k/einsum) axis=1: f32 [2, 77, 1, 16]
    transformer_blocks.0.attn2.to_v/einsum = einsum(transformer_blocks.0.attn2.to_v/slice, transformer_blocks.0.attn2.to_k/softmax) equation=bchk,bkhq->bchq: f32 [2, 4, 1, 16]
    transformer_blocks.0.attn2.to_k/einsum_2 = einsum(transformer_blocks.0.attn2.to_k/slice_2, transformer_blocks.0.attn2.to_q/slice_2) equation=bkhc,bchq->bkhq: f32 [2, 77, 1, 16]
    transformer_blocks.0.attn2.to_k/softmax_2 = softmax(transformer_blocks.0.attn2.to_k/einsum_2) axis=1: f32 [2, 77, 1, 16]
    transformer_blocks.0.attn2.to_v/einsum_2 = einsum(transformer_blocks.0.attn2.to_v/slice_2, transformer_blocks.0.attn2.to_k/softmax_2) equation=bchk,bkhq->bchq: f32 [2, 4, 1, 16]
    transformer_blocks.0.attn2.to_v/concat = concat(transformer_blocks.0.attn2.to_v/einsum, transformer_blocks.0.attn2.to_v/einsum_2) axis=1: f32 [2, 8, 1, 16]
    transformer_blocks.0.attn2.to_out.0 = conv2d(transformer_blocks.0.attn2.to_v/concat, transformer_blocks.0.attn2.to_out.0.weight [8, 8, 1, 1], transformer_blocks.0.attn2.to_out.0.bias [8]) stride=1 pads=0: f32 [2, 8, 1, 16]"
  `);
});

test('SPLIT_EINSUM_V2: the queries of each head in chunks of 512, the last one shorter', () => {
  const text = printed('SPLIT_EINSUM_V2', [2, 8, 24, 24], [2, 12, 1, 77]);
  const firstHead = text.split('\n').filter((line) => /attn1.*(= slice|= einsum|axis=3)/.test(line));
  expect(firstHead.join('\n')).toMatchInlineSnapshot(`
    "transformer_blocks.0.attn1.to_q/slice = slice(transformer_blocks.0.attn1.to_q/mul) axis=1 start=0 end=4: f32 [2, 4, 1, 576]
    transformer_blocks.0.attn1.to_k/slice = slice(transformer_blocks.0.attn1.to_k/transpose) axis=3 start=0 end=4: f32 [2, 576, 1, 4]
    transformer_blocks.0.attn1.to_v/slice = slice(transformer_blocks.0.attn1.to_v) axis=1 start=0 end=4: f32 [2, 4, 1, 576]
    transformer_blocks.0.attn1.to_q/slice_2 = slice(transformer_blocks.0.attn1.to_q/mul) axis=1 start=4 end=8: f32 [2, 4, 1, 576]
    transformer_blocks.0.attn1.to_k/slice_2 = slice(transformer_blocks.0.attn1.to_k/transpose) axis=3 start=4 end=8: f32 [2, 576, 1, 4]
    transformer_blocks.0.attn1.to_v/slice_2 = slice(transformer_blocks.0.attn1.to_v) axis=1 start=4 end=8: f32 [2, 4, 1, 576]
    transformer_blocks.0.attn1.to_q/slice_3 = slice(transformer_blocks.0.attn1.to_q/slice) axis=3 start=0 end=512: f32 [2, 4, 1, 512]
    transformer_blocks.0.attn1.to_k/einsum = einsum(transformer_blocks.0.attn1.to_k/slice, transformer_blocks.0.attn1.to_q/slice_3) equation=bkhc,bchq->bkhq: f32 [2, 576, 1, 512]
    transformer_blocks.0.attn1.to_v/einsum = einsum(transformer_blocks.0.attn1.to_v/slice, transformer_blocks.0.attn1.to_k/softmax) equation=bchk,bkhq->bchq: f32 [2, 4, 1, 512]
    transformer_blocks.0.attn1.to_q/slice_4 = slice(transformer_blocks.0.attn1.to_q/slice) axis=3 start=512 end=576: f32 [2, 4, 1, 64]
    transformer_blocks.0.attn1.to_k/einsum_2 = einsum(transformer_blocks.0.attn1.to_k/slice, transformer_blocks.0.attn1.to_q/slice_4) equation=bkhc,bchq->bkhq: f32 [2, 576, 1, 64]
    transformer_blocks.0.attn1.to_v/einsum_2 = einsum(transformer_blocks.0.attn1.to_v/slice, transformer_blocks.0.attn1.to_k/softmax_2) equation=bchk,bkhq->bchq: f32 [2, 4, 1, 64]
    transformer_blocks.0.attn1.to_v/concat = concat(transformer_blocks.0.attn1.to_v/einsum, transformer_blocks.0.attn1.to_v/einsum_2) axis=3: f32 [2, 4, 1, 576]
    transformer_blocks.0.attn1.to_q/slice_5 = slice(transformer_blocks.0.attn1.to_q/slice_2) axis=3 start=0 end=512: f32 [2, 4, 1, 512]
    transformer_blocks.0.attn1.to_k/einsum_3 = einsum(transformer_blocks.0.attn1.to_k/slice_2, transformer_blocks.0.attn1.to_q/slice_5) equation=bkhc,bchq->bkhq: f32 [2, 576, 1, 512]
    transformer_blocks.0.attn1.to_v/einsum_3 = einsum(transformer_blocks.0.attn1.to_v/slice_2, transformer_blocks.0.attn1.to_k/softmax_3) equation=bchk,bkhq->bchq: f32 [2, 4, 1, 512]
    transformer_blocks.0.attn1.to_q/slice_6 = slice(transformer_blocks.0.attn1.to_q/slice_2) axis=3 start=512 end=576: f32 [2, 4, 1, 64]
    transformer_blocks.0.attn1.to_k/einsum_4 = einsum(transformer_blocks.0.attn1.to_k/slice_2, transformer_blocks.0.attn1.to_q/slice_6) equation=bkhc,bchq->bkhq: f32 [2, 576, 1, 64]
    transformer_blocks.0.attn1.to_v/einsum_4 = einsum(transformer_blocks.0.attn1.to_v/slice_2, transformer_blocks.0.attn1.to_k/softmax_4) equation=bchk,bkhq->bchq: f32 [2, 4, 1, 64]
    transformer_blocks.0.attn1.to_v/concat_2 = concat(transformer_blocks.0.attn1.to_v/einsum_3, transformer_blocks.0.attn1.to_v/einsum_4) axis=3: f32 [2, 4, 1, 576]"
  `);
});

test('SPLIT_EINSUM_V2 with at most 512 tokens is SPLIT_EINSUM', () => {
  const shapes = [
    [2, 8, 16, 32],
    [2, 12, 1, 77],
  ] as const;
  expect(printed('SPLIT_EINSUM_V2', ...shapes)).toBe(printed('SPLIT_EINSUM', ...shapes));
});

test('SPLIT_EINSUM_V2 must know how many tokens there are', () => {
  const image = [2, 8, symbol('height'), 16];
  expect(() => printed('SPLIT_EINSUM_V2', image, [2, 12, 1, 77])).toThrow(
    '[2, 8, 1, height * 16] has no fixed size',
  );
});

function printed(implementation: AttentionImplementation, image: Shape, text: Shape): string {
  const at = headerScope(weights);
  const x = at.builder.input('x', { dtype: 'f32', shape: image });
  const context = at.builder.input('context', { dtype: 'f32', shape: text });
  const y = transformer2d(at, x, context, { heads: 2, groups: 4, layers: 1, implementation });
  return printGraph(at.builder.finish([{ name: 'y', tensor: y }]));
}
