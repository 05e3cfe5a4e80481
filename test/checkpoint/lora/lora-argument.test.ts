import { describe, expect, test } from 'vitest';
import { parseLoraArgument } from '../../../src/checkpoint/lora/lora-argument.ts';
import { RequestError } from '../../../src/errors.ts';
import { thrownBy } from '../../support/thrown-by.ts';

test.each([
  ['style.safetensors', 'style.safetensors', 1],
  ['style.safetensors:0.7', 'style.safetensors', 0.7],
  ['style.safetensors:-1', 'style.safetensors', -1],
  ['folder/a:b/style.safetensors', 'folder/a:b/style.safetensors', 1],
  ['C:\\models\\style.safetensors', 'C:\\models\\style.safetensors', 1],
  ['C:\\style.safetensors:0.5', 'C:\\style.safetensors', 0.5],
  ['C:/style.safetensors', 'C:/style.safetensors', 1],
  ['./a:0.25', './a', 0.25],
  ['a:b.safetensors', 'a:b.safetensors', 1],
  ['a:b.safetensors:0.5', 'a:b.safetensors', 0.5],
  ['C:style.safetensors', 'C:style.safetensors', 1],
  ['D:\\loras\\ink: v2.pt:-0.5', 'D:\\loras\\ink: v2.pt', -0.5],
  ['ink: second version', 'ink: second version', 1],
  ['1:2.safetensors', '1:2.safetensors', 1],
  ['hf://org/name/style.safetensors', 'hf://org/name/style.safetensors', 1],
  ['https://huggingface.co/org/name:0.7', 'https://huggingface.co/org/name', 0.7],
  ['org/name:0.7', 'org/name', 0.7],
])('%s is the file %s at scale %d', (text, path, scale) => {
  expect(parseLoraArgument(text)).toEqual({ path, scale });
});

describe('a request that makes no sense is refused', () => {
  test.each([
    ['style.safetensors:strong', 'the scale of the LoRA style.safetensors is not a number.'],
    ['style.safetensors:', 'the scale of the LoRA style.safetensors is not a number.'],
    ['style.safetensors:NaN', 'the scale of the LoRA style.safetensors is not a number.'],
    ['style.safetensors:1e999', 'the scale of the LoRA style.safetensors is not a number.'],
    [':0.5', 'a LoRA has no file name.'],
    ['', 'a LoRA has no file name.'],
  ])('%j', (text, problem) => {
    const error = thrownBy(() => parseLoraArgument(text));
    expect(error).toBeInstanceOf(RequestError);
    expect(error.problem).toBe(problem);
  });
});
