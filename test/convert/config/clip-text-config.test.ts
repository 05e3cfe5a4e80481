import { expect, test } from 'vitest';
import { clipTextConfig } from '../../../src/convert/config/clip-text-config.ts';
import { ConfigError } from '../../../src/errors.ts';
import type { JsonObject } from '../../../src/io/json/python-json.ts';
import { headerComponent } from '../../support/header-checkpoint.ts';
import { thrownBy } from '../../support/thrown-by.ts';

const least = { hidden_size: 768, intermediate_size: 3072, num_hidden_layers: 12, num_attention_heads: 12 };

const weights = {
  'text_model.embeddings.token_embedding.weight': [49408, 768],
  'text_model.embeddings.position_embedding.weight': [77, 768],
  'text_model.encoder.layers.0.mlp.fc1.weight': [3072, 768],
};

test('a config that says the least has the defaults of transformers', () => {
  expect(read(least)).toMatchObject({
    vocab_size: 49408,
    max_position_embeddings: 77,
    hidden_act: 'quick_gelu',
    layer_norm_eps: 1e-5,
    eos_token_id: 49407,
  });
});

test.each<[string, unknown, string]>([
  ['vocab_size', 30522, 'vocab_size is 30522, but the weights have 49408'],
  ['hidden_size', 1024, 'hidden_size is 1024, but the weights have 768'],
  ['max_position_embeddings', 248, 'max_position_embeddings is 248, but the weights have 77'],
  ['intermediate_size', 4096, 'intermediate_size is 4096, but the weights have 3072'],
])('%s that contradicts the weights is refused', (key, value, problem) => {
  const error = thrownBy(() => read({ ...least, [key]: value }));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toBe(`the config of the text_encoder contradicts its weights: ${problem}.`);
});

test.each<[string, unknown, string]>([
  ['layer_norm_eps', -1e-5, 'a number above 0, at most 1'],
  ['layer_norm_eps', 1e308, 'a number above 0, at most 1'],
  ['eos_token_id', -1, 'a number from 0 to 2147483647'],
  ['eos_token_id', 2 ** 31, 'a number from 0 to 2147483647'],
])('%s = %j, which no shape contradicts, is refused', (key, value, supported) => {
  const error = thrownBy(() => read({ ...least, [key]: value }));
  expect(error.details).toMatchObject({ found: `${key} = ${value}`, supported });
});

test('an activation that CLIP does not have is refused', () => {
  const error = thrownBy(() => read({ ...least, hidden_act: 'relu' }));
  expect(error.details).toEqual({
    file: 'text_encoder/config.json',
    found: 'hidden_act = "relu"',
    supported: '"quick_gelu" or "gelu"',
  });
});

function read(config: JsonObject) {
  return clipTextConfig(headerComponent('text_encoder', { config, weights }));
}

test.each([0, -1])('a text encoder of %i layers is refused', (layers) => {
  expect(thrownBy(() => read({ ...least, num_hidden_layers: layers }))).toBeInstanceOf(ConfigError);
});
