import { describe, expect, test } from 'vitest';
import { FileFormatError, SdConvertError } from '../../../src/errors.ts';
import { readPickle } from '../../../src/weights/torch/pickle.ts';
import type { PickleValue } from '../../../src/weights/torch/pickle-value.ts';
import { torchRules } from '../../../src/weights/torch/torch-globals.ts';
import * as p from '../../support/pickle-bytes.ts';

function read(bytes: Uint8Array): PickleValue {
  return readPickle(bytes, 0, torchRules('model.ckpt'), 'model.ckpt').value;
}

/** The error for a pickle, checked to be one sentence that names the file, with what to do next. */
function refusal(bytes: Uint8Array): SdConvertError {
  try {
    read(bytes);
  } catch (error) {
    if (!(error instanceof SdConvertError)) throw error;
    expect(error.problem).toMatch(/^model\.ckpt .*[^.]\.$/);
    expect(error.advice).toMatch(/\.$/);
    return error;
  }
  throw new Error('not refused');
}

test.each<[string, PickleValue, readonly number[]]>([
  ['None', null, p.NONE],
  ['a bool', false, p.FALSE],
  ['a negative integer', -2, p.integer(-2)],
  [
    'a long integer',
    0x1950a86a20f9469cfc6cn,
    [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
  ],
  ['a long integer that is small', -1, [0x8a, 1, 0xff]],
  ['a long integer of no bytes', 0, [0x8a, 0]],
  ['an integer of protocol 1', -(17n ** 20n), [...new TextEncoder().encode(`L${-(17n ** 20n)}L\n`)]],
  ['a bool of protocol 1', true, [...new TextEncoder().encode('I01\n')]],
  ['a float', 0.1, [0x47, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]],
  ['text', 'Ünet\u2028', p.text('Ünet\u2028')],
  ['a tuple', [1, 'two'], p.tuple(p.integer(1), p.text('two'))],
  [
    'a torch.Size',
    [2, 3],
    [...p.global('torch', 'Size'), ...p.tuple(p.tuple(p.integer(2), p.integer(3))), ...p.REDUCE],
  ],
])('%s is read', (_name, value, bytes) => {
  expect(read(p.pickle(bytes))).toEqual(value);
});

test('a dict may have any key, and none of them means anything to JavaScript', () => {
  const items = ['__proto__', 'constructor', 'a'].flatMap((key) => [...p.text(key), ...p.integer(1)]);
  const value = read(p.pickle(p.EMPTY_DICT, p.MARK, items, p.SETITEMS));
  expect(value).toEqual(
    new Map([
      ['__proto__', 1],
      ['constructor', 1],
      ['a', 1],
    ]),
  );
  expect(Object.hasOwn(Object.prototype, 'a')).toBe(false);
});

test('what training leaves in a checkpoint becomes a tag, without its state', () => {
  const callback = p.global('pytorch_lightning.callbacks.model_checkpoint', 'ModelCheckpoint');
  const state = [...p.EMPTY_DICT, ...p.text('best'), ...p.integer(1), ...p.SETITEM, ...p.BUILD];
  expect(read(p.pickle(callback, p.EMPTY_TUPLE, [0x81], state))).toEqual({
    kind: 'inert',
    name: 'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  });
});

describe('an object of a class that nobody knows', () => {
  const name = ['dreambooth_helpers.joepenna', 'JoePennaDreamboothConfigSchemaV1'] as const;
  const state = [...p.EMPTY_DICT, ...p.text('token'), ...p.text('zwx'), ...p.SETITEM, ...p.BUILD];

  test.each([
    ['of protocol 2', [...p.global(...name), ...p.EMPTY_TUPLE, 0x81]],
    ['of protocol 4', [...p.stackGlobal(...name), ...p.EMPTY_TUPLE, ...p.EMPTY_DICT, 0x92]],
  ])('becomes a tag, is named, and is never made: %s', (_, object) => {
    const rules = torchRules('model.ckpt');
    const { value } = readPickle(p.pickle(object, state), 0, rules, 'model.ckpt');
    expect(value).toEqual({ kind: 'inert', name: name.join('.') });
    expect([...rules.unknown]).toEqual([name.join('.')]);
  });

  test('is refused where it would be called', () => {
    const call = [...p.global(...name), ...p.tuple(p.text('x')), ...p.REDUCE];
    expect(refusal(p.pickle(call)).problem).toContain(`refers to ${name.join('.')}, `);
  });

  test.each([
    ['os', 'system'],
    ['builtins', 'eval'],
    ['torch', 'load'],
    ['some.module', '__import__'],
  ])('but what Python or PyTorch bring is refused even as a class: %s.%s', (module, own) => {
    expect(refusal(p.pickle(p.global(module, own), p.EMPTY_TUPLE, [0x81])).problem).toContain(
      `refers to ${module}.${own}`,
    );
  });
});

describe('a pickle that would run something is refused by the name of it, and runs nothing', () => {
  test.each([
    ['os', 'system'],
    ['posix', 'system'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['builtins', 'exec'],
    ['builtins', 'getattr'],
    ['__builtin__', 'eval'],
    ['torch', 'load'],
    ['torch.hub', 'load'],
    ['torch.storage', '_load_from_bytes'],
    ['numpy', 'load'],
    ['collections', '__proto__'],
    ['constructor', 'constructor'],
    ['', '__proto__'],
  ])('%s.%s', (module, name) => {
    const call = [...p.tuple(p.text('echo ran > ran')), ...p.REDUCE];
    for (const bytes of [p.global(module, name), p.stackGlobal(module, name)]) {
      const error = refusal(p.pickle(bytes, call));
      expect(error).toBeInstanceOf(FileFormatError);
      expect(error.problem).toContain(`refers to ${module}.${name}, `);
      expect(error.problem).toContain('nothing was run');
    }
  });

  test('a name of the table with a dot in it is not a way to another', () => {
    expect(refusal(p.pickle(p.stackGlobal('torch', 'FloatStorage.__init__'))).problem).toContain(
      'FloatStorage.__init__',
    );
  });

  test.each(['x'.repeat(1000), '\x1b[2J', 'system\0', 'a b', 'имя'])('a name that cannot be: %j', (name) => {
    expect(refusal(p.pickle(p.global('torch', name))).problem).toContain('a name that no PyTorch file has');
  });

  test('a class that stands for a dtype cannot be called, nor can a value', () => {
    expect(refusal(p.pickle(p.global('torch', 'FloatStorage'), p.EMPTY_TUPLE, p.REDUCE)).problem).toContain(
      'calls something that is not a function',
    );
    expect(refusal(p.pickle(p.text('system'), p.EMPTY_TUPLE, p.REDUCE)).problem).toContain('not a function');
  });

  test('a known function with other arguments', () => {
    const call = [...p.tuple(p.text('x')), ...p.REDUCE];
    for (const name of ['_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_parameter']) {
      const { problem } = refusal(p.pickle(p.global('torch._utils', name), call));
      expect(problem).toContain(`calls torch._utils.${name} with arguments that it does not take`);
    }
    expect(refusal(p.pickle(p.global('collections', 'OrderedDict'), call)).problem).toContain('OrderedDict');
  });

  test('the state of something that has none', () => {
    expect(refusal(p.pickle(p.text('x'), p.EMPTY_DICT, p.BUILD)).problem).toContain('sets the state');
  });

  test.each([
    ['EXT1, which looks a name up in a registry', [0x82, 1]],
    ['INST of protocol 0', [0x28, 0x69]],
    ['a persistent id of protocol 0', [0x50]],
  ])('%s', (_name, bytes) => {
    expect(refusal(p.pickle(bytes)).problem).toContain('an instruction that PyTorch does not write');
  });
});

describe('a pickle that would exhaust the machine does not', () => {
  test('100,000 lists in each other', () => {
    const depth = 100_000;
    const nested = Array.from({ length: depth }, () => p.EMPTY_LIST[0] ?? 0);
    const closing = Array.from({ length: depth - 1 }, () => p.APPEND[0] ?? 0);
    expect(read(p.pickle(nested, closing))).toHaveLength(1);
  });

  test('a list that holds itself', () => {
    const value = read(p.pickle(p.EMPTY_LIST, p.keep(0), p.recall(0), p.APPEND));
    expect(Array.isArray(value) && value[0] === value).toBe(true);
  });

  test('a list doubled again and again', () => {
    const doubling = Array.from({ length: 200 }, (_, i) => [
      ...p.tuple(p.recall(i), p.recall(i)),
      ...p.keep(i + 1),
    ]);
    expect(read(p.pickle(p.EMPTY_LIST, p.keep(0), ...doubling))).toHaveLength(2);
  });

  test('a long list that is copied again and again', () => {
    const pairs = Array.from({ length: 20_000 }, () => 0x4e);
    const copy = [...p.global('collections', 'OrderedDict'), ...p.recall(0), 0x85, ...p.REDUCE, 0x30];
    const bytes = p.pickle(
      p.EMPTY_LIST,
      p.keep(0),
      p.MARK,
      pairs,
      [0x65],
      ...Array.from({ length: 20_000 }, () => copy),
    );
    expect(refusal(bytes)).toBeInstanceOf(FileFormatError);
    const state = [...p.global('numpy', 'dtype'), ...p.recall(0), 0x85, ...p.REDUCE, 0x30];
    const inert = p.pickle(
      p.EMPTY_LIST,
      p.keep(0),
      p.MARK,
      pairs,
      [0x65],
      ...Array.from({ length: 20_000 }, () => state),
    );
    expect(refusal(inert).problem).toContain('takes more than 2,000,000 steps');
  });

  test('more steps than any checkpoint has', () => {
    const bytes = new Uint8Array(3_000_000).fill(0x5d);
    expect(refusal(bytes).problem).toContain('takes more than 2,000,000 steps');
  });

  test.each([
    ['text of 4 GB', [0x58, 0xff, 0xff, 0xff, 0xff]],
    ['text of 16 EB', [0x8d, ...Array.from({ length: 8 }, () => 0xff)]],
    ['text of a negative length', [0x54, 0xff, 0xff, 0xff, 0xff]],
    ['bytes of 16 EB', [0x8e, ...Array.from({ length: 8 }, () => 0xff)]],
    ['an integer of 2 GB', [0x8b, 0xff, 0xff, 0xff, 0x7f]],
    ['an integer of a negative length', [0x8b, 0xff, 0xff, 0xff, 0xff]],
  ])('%s that is not there', (_name, bytes) => {
    expect(() => read(p.pickle(bytes))).toThrow();
  });

  test('an integer of many digits', () => {
    expect(refusal(p.pickle([0x8a, 200, ...Array.from({ length: 200 }, () => 1)])).problem).toContain(
      '200 bytes',
    );
    expect(refusal(p.pickle([...new TextEncoder().encode(`L${'9'.repeat(1000)}L\n`)])).problem).toContain(
      'an integer',
    );
  });
});

test.each<[string, readonly number[], string]>([
  ['an empty stack', [0x30], 'empty stack'],
  ['what is under a mark', [...p.NONE, ...p.MARK, 0x30], 'empty stack'],
  ['a group without a beginning', p.TUPLE, 'a group that it did not begin'],
  ['a value that was not kept', p.recall(7), 'did not keep'],
  ['an item of a number', [...p.integer(1), ...p.NONE, ...p.NONE, ...p.SETITEM], 'not a dict'],
  ['an item appended to a number', [...p.integer(1), ...p.NONE, ...p.APPEND], 'not a list'],
  ['a key without a value', [...p.EMPTY_DICT, ...p.MARK, ...p.NONE, ...p.SETITEMS], 'a key without a value'],
  ['a protocol of the future', [0x80, 6], 'protocol 6'],
  [
    'a storage of unknown type',
    [...p.tuple(p.text('storage'), p.text('x')), ...p.BINPERSID],
    'not a storage',
  ],
])('%s is refused', (_name, bytes, problem) => {
  expect(refusal(p.pickle(bytes)).problem).toContain(problem);
});

test('one storage described in two ways is refused', () => {
  const bytes = p.pickle(p.tensor({ elements: 6 }), p.tensor({ elements: 7 }));
  expect(refusal(bytes).problem).toContain('one storage in two ways');
});
