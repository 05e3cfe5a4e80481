import { expect, test } from 'vitest';
import { resnetBlock } from '../../../src/convert/blocks/resnet-block.ts';
import { vaeMidBlock } from '../../../src/convert/blocks/vae-mid-block.ts';
import { symbol } from '../../../src/graph/dim.ts';
import { printGraph } from '../../../src/graph/print.ts';
import { headerScope } from '../../support/header-checkpoint.ts';

const norm = { groups: 4, epsilon: 1e-5 };

test('a resnet block that changes the number of channels, told the time', () => {
  const at = headerScope({
    'norm1.weight': [8],
    'norm1.bias': [8],
    'conv1.weight': [16, 8, 3, 3],
    'conv1.bias': [16],
    'time_emb_proj.weight': [16, 32],
    'time_emb_proj.bias': [16],
    'norm2.weight': [16],
    'norm2.bias': [16],
    'conv2.weight': [16, 16, 3, 3],
    'conv2.bias': [16],
    'conv_shortcut.weight': [16, 8, 1, 1],
    'conv_shortcut.bias': [16],
  });
  const x = at.builder.input('x', {
    dtype: 'f32',
    shape: [symbol('batch'), 8, symbol('height'), symbol('width')],
  });
  const time = at.builder.input('time', { dtype: 'f32', shape: [1, 32] });
  const y = resnetBlock(at, x, norm, time);
  expect(printGraph(at.builder.finish([{ name: 'y', tensor: y }]))).toMatchInlineSnapshot(`
    "input x: f32 [batch, 8, height, width]
    input time: f32 [1, 32]
    norm1 = group_norm(x, norm1.weight [8], norm1.bias [8]) groups=4 epsilon=0.00001: f32 [batch, 8, height, width]
    norm1/silu = silu(norm1): f32 [batch, 8, height, width]
    conv1 = conv2d(norm1/silu, conv1.weight [16, 8, 3, 3], conv1.bias [16]) stride=1 pads=1: f32 [batch, 16, height, width]
    time/silu = silu(time): f32 [1, 32]
    time_emb_proj = linear(time/silu, time_emb_proj.weight [16, 32], time_emb_proj.bias [16]): f32 [1, 16]
    time_emb_proj/reshape = reshape(time_emb_proj) shape=[1, 16, 1, 1]: f32 [1, 16, 1, 1]
    conv1/add = add(conv1, time_emb_proj/reshape): f32 [batch, 16, height, width]
    norm2 = group_norm(conv1/add, norm2.weight [16], norm2.bias [16]) groups=4 epsilon=0.00001: f32 [batch, 16, height, width]
    norm2/silu = silu(norm2): f32 [batch, 16, height, width]
    conv2 = conv2d(norm2/silu, conv2.weight [16, 16, 3, 3], conv2.bias [16]) stride=1 pads=1: f32 [batch, 16, height, width]
    conv_shortcut = conv2d(x, conv_shortcut.weight [16, 8, 1, 1], conv_shortcut.bias [16]) stride=1 pads=0: f32 [batch, 16, height, width]
    conv_shortcut/add = add(conv_shortcut, conv2): f32 [batch, 16, height, width]
    return y = conv_shortcut/add"
  `);
});

test('the middle of a VAE: attention between two resnet blocks that keep their channels and know no time', () => {
  const conv = (name: string) => ({ [`${name}.weight`]: [8, 8, 3, 3], [`${name}.bias`]: [8] });
  const vector = (name: string) => ({ [`${name}.weight`]: [8], [`${name}.bias`]: [8] });
  const matrix = (name: string) => ({ [`${name}.weight`]: [8, 8], [`${name}.bias`]: [8] });
  const resnet = (name: string) => ({
    ...vector(`${name}.norm1`),
    ...conv(`${name}.conv1`),
    ...vector(`${name}.norm2`),
    ...conv(`${name}.conv2`),
  });
  const at = headerScope({
    ...resnet('resnets.0'),
    ...vector('attentions.0.group_norm'),
    ...matrix('attentions.0.to_q'),
    ...matrix('attentions.0.to_k'),
    ...matrix('attentions.0.to_v'),
    ...matrix('attentions.0.to_out.0'),
    ...resnet('resnets.1'),
  });
  const x = at.builder.input('x', { dtype: 'f32', shape: [1, 8, 4, 6] });
  const y = vaeMidBlock(at, x, norm);
  expect(printGraph(at.builder.finish([{ name: 'y', tensor: y }]))).toMatchInlineSnapshot(`
    "input x: f32 [1, 8, 4, 6]
    resnets.0.norm1 = group_norm(x, resnets.0.norm1.weight [8], resnets.0.norm1.bias [8]) groups=4 epsilon=0.00001: f32 [1, 8, 4, 6]
    resnets.0.norm1/silu = silu(resnets.0.norm1): f32 [1, 8, 4, 6]
    resnets.0.conv1 = conv2d(resnets.0.norm1/silu, resnets.0.conv1.weight [8, 8, 3, 3], resnets.0.conv1.bias [8]) stride=1 pads=1: f32 [1, 8, 4, 6]
    resnets.0.norm2 = group_norm(resnets.0.conv1, resnets.0.norm2.weight [8], resnets.0.norm2.bias [8]) groups=4 epsilon=0.00001: f32 [1, 8, 4, 6]
    resnets.0.norm2/silu = silu(resnets.0.norm2): f32 [1, 8, 4, 6]
    resnets.0.conv2 = conv2d(resnets.0.norm2/silu, resnets.0.conv2.weight [8, 8, 3, 3], resnets.0.conv2.bias [8]) stride=1 pads=1: f32 [1, 8, 4, 6]
    x/add = add(x, resnets.0.conv2): f32 [1, 8, 4, 6]
    attentions.0.group_norm = group_norm(x/add, attentions.0.group_norm.weight [8], attentions.0.group_norm.bias [8]) groups=4 epsilon=0.00001: f32 [1, 8, 4, 6]
    attentions.0.group_norm/reshape = reshape(attentions.0.group_norm) shape=[1, 8, 1, 24]: f32 [1, 8, 1, 24]
    attentions.0.to_q = conv2d(attentions.0.group_norm/reshape, attentions.0.to_q.weight [8, 8, 1, 1], attentions.0.to_q.bias [8]) stride=1 pads=0: f32 [1, 8, 1, 24]
    attentions.0.to_k = conv2d(attentions.0.group_norm/reshape, attentions.0.to_k.weight [8, 8, 1, 1], attentions.0.to_k.bias [8]) stride=1 pads=0: f32 [1, 8, 1, 24]
    attentions.0.to_v = conv2d(attentions.0.group_norm/reshape, attentions.0.to_v.weight [8, 8, 1, 1], attentions.0.to_v.bias [8]) stride=1 pads=0: f32 [1, 8, 1, 24]
    attentions.0.to_q/mul = mul(attentions.0.to_q, 0.3535533845424652): f32 [1, 8, 1, 24]
    attentions.0.to_q/reshape = reshape(attentions.0.to_q/mul) shape=[1, 1, 8, 24]: f32 [1, 1, 8, 24]
    attentions.0.to_k/reshape = reshape(attentions.0.to_k) shape=[1, 1, 8, 24]: f32 [1, 1, 8, 24]
    attentions.0.to_q/matmul = matmul(attentions.0.to_q/reshape, attentions.0.to_k/reshape) transposeA=true transposeB=false: f32 [1, 1, 24, 24]
    attentions.0.to_v/reshape = reshape(attentions.0.to_v) shape=[1, 1, 8, 24]: f32 [1, 1, 8, 24]
    attentions.0.to_q/softmax = softmax(attentions.0.to_q/matmul) axis=3: f32 [1, 1, 24, 24]
    attentions.0.to_v/matmul = matmul(attentions.0.to_v/reshape, attentions.0.to_q/softmax) transposeA=false transposeB=true: f32 [1, 1, 8, 24]
    attentions.0.to_v/reshape_2 = reshape(attentions.0.to_v/matmul) shape=[1, 8, 1, 24]: f32 [1, 8, 1, 24]
    attentions.0.to_out.0 = conv2d(attentions.0.to_v/reshape_2, attentions.0.to_out.0.weight [8, 8, 1, 1], attentions.0.to_out.0.bias [8]) stride=1 pads=0: f32 [1, 8, 1, 24]
    attentions.0.to_out.0/reshape = reshape(attentions.0.to_out.0) shape=[1, 8, 4, 6]: f32 [1, 8, 4, 6]
    attentions.0.to_out.0/add = add(attentions.0.to_out.0/reshape, x/add): f32 [1, 8, 4, 6]
    resnets.1.norm1 = group_norm(attentions.0.to_out.0/add, resnets.1.norm1.weight [8], resnets.1.norm1.bias [8]) groups=4 epsilon=0.00001: f32 [1, 8, 4, 6]
    resnets.1.norm1/silu = silu(resnets.1.norm1): f32 [1, 8, 4, 6]
    resnets.1.conv1 = conv2d(resnets.1.norm1/silu, resnets.1.conv1.weight [8, 8, 3, 3], resnets.1.conv1.bias [8]) stride=1 pads=1: f32 [1, 8, 4, 6]
    resnets.1.norm2 = group_norm(resnets.1.conv1, resnets.1.norm2.weight [8], resnets.1.norm2.bias [8]) groups=4 epsilon=0.00001: f32 [1, 8, 4, 6]
    resnets.1.norm2/silu = silu(resnets.1.norm2): f32 [1, 8, 4, 6]
    resnets.1.conv2 = conv2d(resnets.1.norm2/silu, resnets.1.conv2.weight [8, 8, 3, 3], resnets.1.conv2.bias [8]) stride=1 pads=1: f32 [1, 8, 4, 6]
    attentions.0.to_out.0/add_2 = add(attentions.0.to_out.0/add, resnets.1.conv2): f32 [1, 8, 4, 6]
    return y = attentions.0.to_out.0/add_2"
  `);
});
