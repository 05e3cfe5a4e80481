import { expect, test } from 'vitest';
import { oldVaeAttention, withPresentNames } from '../../../src/convert/names/old-vae-attention.ts';
import { FileFormatError } from '../../../src/errors.ts';
import { unreadWeight } from '../../support/memory-weight.ts';
import { thrownBy } from '../../support/thrown-by.ts';

test('the table is one-to-one, and no new name is an old one', () => {
  const [old, now] = [oldVaeAttention.map(([name]) => name), oldVaeAttention.map(([, name]) => name)];
  expect(new Set(old).size).toBe(old.length);
  expect(new Set(now).size).toBe(now.length);
  expect(now.filter((name) => old.includes(name))).toEqual([]);
});

/** What AutoencoderKL's attention was and is made of: diffusers 0.17 and 0.18, encoder and decoder alike. */
const attentionNames = [
  ['group_norm.weight', 'group_norm.weight'],
  ['group_norm.bias', 'group_norm.bias'],
  ['query.weight', 'to_q.weight'],
  ['query.bias', 'to_q.bias'],
  ['key.weight', 'to_k.weight'],
  ['key.bias', 'to_k.bias'],
  ['value.weight', 'to_v.weight'],
  ['value.bias', 'to_v.bias'],
  ['proj_attn.weight', 'to_out.0.weight'],
  ['proj_attn.bias', 'to_out.0.bias'],
] as const;

test('every tensor of an old attention gets its present name, in the encoder and in the decoder', () => {
  for (const part of ['encoder', 'decoder']) {
    const at = `${part}.mid_block.attentions.0`;
    const old = attentionNames.map(([name]) => `${at}.${name}`);
    const now = attentionNames.map(([, name]) => `${at}.${name}`);
    expect([...withPresentNames(weightsOf(old)).keys()]).toEqual(now);
    expect([...withPresentNames(weightsOf(now)).keys()]).toEqual(now);
  }
});

test('a renamed weight knows itself by its present name and keeps everything else', () => {
  const at = 'decoder.mid_block.attentions.0';
  const weights = withPresentNames(weightsOf([`${at}.query.weight`]));
  expect(weights.get(`${at}.to_q.weight`)).toMatchObject({
    name: `${at}.to_q.weight`,
    shape: [1],
    file: 'header.safetensors',
  });
});

test('nothing else is renamed', () => {
  const names = [
    'quant_conv.weight',
    'decoder.mid_block.resnets.0.conv1.weight',
    'decoder.mid_block.attentions.1.query.weight',
    'decoder.mid_block.attentions.0.query_norm.weight',
    'mid_block.attentions.0.key.weight',
  ];
  expect([...withPresentNames(weightsOf(names)).keys()]).toEqual(names);
});

test('a tensor that is there under both names is refused: one of them would be lost', () => {
  const at = 'encoder.mid_block.attentions.0';
  for (const names of [
    [`${at}.key.bias`, `${at}.to_k.bias`],
    [`${at}.to_k.bias`, `${at}.key.bias`],
  ]) {
    const error = thrownBy(() => withPresentNames(weightsOf(names)));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.details).toEqual({
      old: `${at}.key.bias in header.safetensors`,
      present: `${at}.to_k.bias in header.safetensors`,
    });
  }
});

function weightsOf(names: readonly string[]) {
  return new Map(names.map((name) => [name, unreadWeight(name, [1])]));
}
