import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { namesWithoutWeight, planRecipe, readRecipe } from '../../src/mixed-bits/recipe.ts';
import type { QuantizableWeight } from '../../src/quantize/plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

test('one name fits a weight in a checkpoint, an ONNX file, our packages and Apple’s', () => {
  const plan = planRecipe(new Map([['down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q', 4]]));
  const names = [
    'down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q.weight',
    'down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q_weight',
    'down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q_weight_to_fp16',
    'down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_q_weight_to_fp16_palettized',
  ];
  for (const name of names) expect(plan(weight(name))).toEqual({ kind: 'palette', bits: 4 });
});

test('what a recipe does not name, or names 16, stays as it is', () => {
  const plan = planRecipe(new Map([['conv_in', 16]]));
  expect(plan(weight('conv_in.weight'))).toBeUndefined();
  expect(plan(weight('conv_out.weight'))).toBeUndefined();
});

test('names that fit no weight are found, whatever the format of the weights', () => {
  const recipe = new Map([
    ['conv_in', 4],
    ['mid_block.to_q', 6],
    ['gone', 8],
    ['left_alone', 16],
  ]);
  const weights = ['conv_in.weight', 'mid_block_to_q_weight_to_fp16', 'another.weight'];
  expect(namesWithoutWeight(recipe, weights)).toEqual(['gone']);
});

test('our recipe and Apple’s, of one or several, are read', async () => {
  expect(await readRecipe(written({ 'conv_in.weight': 8, conv_out: 4 }))).toEqual(
    new Map([
      ['conv_in.weight', 8],
      ['conv_out', 4],
    ]),
  );
  const apple = written({
    model_version: 'x',
    recipes: { 'recipe_4.00': { conv_out: 4 }, 'recipe_6.00': { conv_out: 6 } },
  });
  expect(await readRecipe(`${apple}#recipe_6.00`)).toEqual(new Map([['conv_out', 6]]));
  expect(await readRecipe(written({ recipes: { only: { conv_out: 2 } } }))).toEqual(
    new Map([['conv_out', 2]]),
  );
});

test('several recipes and none named: the error lists them', async () => {
  const file = written({ recipes: { a: { conv_out: 4 }, b: { conv_out: 6 } } });
  await expect(readRecipe(file)).rejects.toThrow(/has several recipes[\s\S]*a, b[\s\S]*#a/);
  await expect(readRecipe(`${file}#c`)).rejects.toThrow(/has no recipe c/);
});

test('a recipe whose name has a #, in a file whose name has one', async () => {
  const file = at('recipe#1.json');
  writeFileSync(file, JSON.stringify({ recipes: { 'a#b': { conv_out: 4 }, a: { conv_out: 6 } } }));
  await expect(readRecipe(file)).rejects.toThrow(`${file} has several recipes.`);
  const several = written({ recipes: { 'a#b': { conv_out: 4 }, a: { conv_out: 6 } } });
  expect(await readRecipe(`${several}#a#b`)).toEqual(new Map([['conv_out', 4]]));
  await expect(readRecipe(`${several}#a#c`)).rejects.toThrow('has no recipe a#c.');
  await expect(readRecipe('#a')).rejects.toThrow('#a does not exist.');
});

test('names of recipes are shown cut, and a file that has none is told as such', async () => {
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`${n}`.padEnd(90), {}]));
  const { message } = await rejectionOf(readRecipe(`${written({ recipes: many })}#${'x'.repeat(5_000)}`));
  expect(message.length).toBeLessThan(2_000);
  const none = await rejectionOf(readRecipe(written({ recipes: {} })));
  expect(none.details).toEqual({ found: 'no recipes' });
});

test('two entries of one weight are refused, unless they say the same', async () => {
  const twice = { conv_out: 8, 'conv_out.weight': 4 };
  const error = await rejectionOf(readRecipe(written(twice)));
  expect(error.details).toEqual({
    found: '8 bits for "conv_out", and 4 for "conv_out.weight": one weight',
  });
  expect((await readRecipe(written({ ...twice, 'conv_out.weight': 8 }))).size).toBe(2);
  writeFileSync(at('twice.json'), '{"conv_out": 8, "conv_in": 4, "conv_out": 4}');
  const same = await rejectionOf(readRecipe(at('twice.json')));
  expect(same.problem).toBe(`${at('twice.json')} is not a recipe of bits.`);
  expect(same.details).toEqual({ found: 'two entries of "conv_out"' });
});

test('unknown bits are refused, naming weight and bits', async () => {
  await expect(readRecipe(written({ conv_in: 8, conv_out: 5 }))).rejects.toThrow(/conv_out[\s\S]*5/);
  await expect(readRecipe(written({ recipes: { a: { conv_out: 7 } } }))).rejects.toThrow(/conv_out[\s\S]*7/);
});

test('what is no recipe is refused', async () => {
  await expect(readRecipe(written({}))).rejects.toThrow(/is not a recipe/);
  await expect(readRecipe(written({ conv_in: 'four' }))).rejects.toThrow(/is not a recipe/);
});

function weight(name: string): QuantizableWeight {
  return { name, shape: [64, 64], outputAxis: 0, inputAxis: 1 };
}

function written(json: object): string {
  const path = at('recipe.json');
  writeFileSync(path, JSON.stringify(json));
  return path;
}
