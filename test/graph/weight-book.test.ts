import { describe, expect, test } from 'vitest';
import { MissingWeightError, UnusedWeightError } from '../../src/errors.ts';
import { WeightBook } from '../../src/graph/weight-book.ts';
import { unreadWeight } from '../support/memory-weight.ts';
import { thrownBy } from '../support/thrown-by.ts';

describe('a weight that is missing', () => {
  test('is named, with the file and the nearest name there is', () => {
    const book = bookOf(
      'conv_in.weight',
      'mid_block.resnets.0.conv1.weight',
      'mid_block.resnets.0.conv1.bias',
    );
    const error = thrownBy(() => book.take('mid_block.resnets.1.conv1.weight'));
    expect(error).toBeInstanceOf(MissingWeightError);
    expect(error.problem).toBe('the UNet needs a weight that this checkpoint does not have.');
    expect(error.details).toEqual({
      missing: 'mid_block.resnets.1.conv1.weight',
      file: 'header.safetensors (3 tensors)',
      nearest: 'mid_block.resnets.0.conv1.weight',
    });
  });

  test('is found under the prefix of another layout', () => {
    const book = bookOf('model.conv_in.weight', 'model.mid_block.attentions.0.to_q.weight');
    expect(thrownBy(() => book.take('mid_block.attentions.0.to_q.weight')).details.nearest).toBe(
      'model.mid_block.attentions.0.to_q.weight',
    );
  });

  test('has no nearest name among names that have next to nothing in common with it', () => {
    expect(thrownBy(() => bookOf('lora.down.weight').take('conv_in.weight')).details).not.toHaveProperty(
      'nearest',
    );
    expect(thrownBy(() => bookOf().take('conv_in.weight')).details).toEqual({
      missing: 'conv_in.weight',
      file: '(none) (0 tensors)',
    });
  });
});

describe('a weight that nothing uses', () => {
  test('is named, with how many were used', () => {
    const book = bookOf('a.weight', 'b.weight', 'c.weight');
    book.take('b.weight');
    const error = thrownBy(() => book.finish([]));
    expect(error).toBeInstanceOf(UnusedWeightError);
    expect(error.problem).toBe('the UNet has no use for 2 weights of this checkpoint.');
    expect(error.details).toEqual({ first: 'a.weight', file: 'header.safetensors', used: '1 of 3' });
  });

  test('is fine where a reason says so, and only there', () => {
    const book = bookOf('a.weight', 'position_ids', 'position_ids_2');
    book.take('a.weight');
    const ignored = [{ names: /^position_ids$/, reason: 'the numbers 0 … 76' }];
    expect(thrownBy(() => book.finish(ignored)).details.first).toBe('position_ids_2');
    book.take('position_ids_2');
    expect(() => book.finish(ignored)).not.toThrow();
  });
});

test('a weight that is read twice is our mistake, not the user’s', () => {
  const book = bookOf('a.weight');
  book.take('a.weight');
  expect(() => book.take('a.weight')).toThrow(new Error('the UNet reads a.weight twice'));
});

function bookOf(...names: string[]): WeightBook {
  return new WeightBook('the UNet', new Map(names.map((name) => [name, unreadWeight(name, [1])])));
}
