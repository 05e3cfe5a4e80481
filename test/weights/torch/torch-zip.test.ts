import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { SdConvertError } from '../../../src/errors.ts';
import { readTorchZip } from '../../../src/weights/torch/torch-zip.ts';
import { expectReadOrRefused } from '../../support/changed-bytes.ts';
import { drain } from '../../support/drain.ts';
import { memorySource } from '../../support/memory-source.ts';
import * as p from '../../support/pickle-bytes.ts';
import { type ZipEntry, zipOf } from '../../support/zip-bytes.ts';

const fixture = new Uint8Array(readFileSync(new URL('../../fixtures/torch/zip.pt', import.meta.url)));
const numbers = new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer);

/** The entries of a file with one tensor of 6 float32s named `w`. */
function parts(options?: p.TensorInstructions): ZipEntry[] {
  return [
    { name: 'archive/data.pkl', data: p.stateDict(options) },
    { name: 'archive/byteorder', data: new TextEncoder().encode('little') },
    { name: 'archive/data/0', data: numbers },
  ];
}

function read(bytes: Uint8Array) {
  return readTorchZip(memorySource(bytes, 'model.ckpt'));
}

/** The error for a file, checked to be one sentence that names the file, with what to do next. */
async function refusal(entries: readonly ZipEntry[] | Uint8Array): Promise<SdConvertError> {
  const reading = read(entries instanceof Uint8Array ? entries : zipOf(entries));
  const error: unknown = await reading.then(
    () => undefined,
    (reason) => reason,
  );
  if (!(error instanceof SdConvertError)) throw new Error(`not refused as it should be: ${error}`);
  expect(error.problem).toMatch(/^model\.ckpt .*[^.]\.$/);
  expect(error.advice).toMatch(/\.$/);
  return error;
}

function withEntry(name: string, change: Partial<ZipEntry>): ZipEntry[] {
  return parts().map((entry) => (entry.name === `archive/${name}` ? { ...entry, ...change } : entry));
}

async function tensorBytes(options: p.TensorInstructions): Promise<number[]> {
  const weight = (await read(zipOf(parts(options)))).weights.get('w');
  if (!weight) throw new Error('no w');
  return [...new Float32Array((await drain(weight)).buffer)];
}

test('a tensor is read where it lies in its storage, row by row whatever its strides', async () => {
  expect(await tensorBytes({})).toEqual([0, 1, 2, 3, 4, 5]);
  expect(await tensorBytes({ shape: [3, 2], strides: [1, 3] })).toEqual([0, 3, 1, 4, 2, 5]);
  expect(await tensorBytes({ offset: 1, shape: [2, 2], strides: [3, 1] })).toEqual([1, 2, 4, 5]);
  expect(await tensorBytes({ offset: 5, shape: [], strides: [] })).toEqual([5]);
  expect(await tensorBytes({ shape: [1, 3], strides: [77, 2] })).toEqual([0, 2, 4]);
  expect(await tensorBytes({ shape: [4], strides: [0] })).toEqual([0, 0, 0, 0]);
  expect(await tensorBytes({ offset: 6, shape: [0, 9], strides: [9, 1] })).toEqual([]);
});

test('sizes are read from zip64 fields', async () => {
  expect((await read(zipOf(withEntry('data/0', { zip64: true })))).weights.size).toBe(1);
});

describe('an archive that PyTorch did not write is refused', () => {
  test('a zip of something else', async () => {
    const { problem, details } = await refusal([{ name: 'unet/config.json', data: numbers, method: 8 }]);
    expect(problem).toContain('a zip archive, but not one that PyTorch wrote');
    expect(details['it holds']).toBe('"unet/config.json"');
  });

  test('two pickles', async () => {
    expect((await refusal([...parts(), { name: 'b/data.pkl', data: numbers }])).problem).toContain(
      'two pickles',
    );
  });

  test.each(['../evil', 'archive/../../evil', '/etc/passwd', 'archive\\evil', 'C:/evil', 'archive/./x', ''])(
    'an entry named %j',
    async (name) => {
      const { problem, details } = await refusal([...parts(), { name, data: numbers }]);
      expect(problem).toContain('a zip entry with a path that leads out of it');
      expect(details.entry).toBe(JSON.stringify(name));
    },
  );

  test('a name twice', async () => {
    expect((await refusal([...parts(), ...parts().slice(2)])).problem).toContain(
      'a zip entry that is in it twice',
    );
  });

  test('two entries over the same bytes', async () => {
    const error = await refusal([...parts(), { name: 'archive/data/1', data: numbers, at: 0 }]);
    expect(error.problem).toContain('a zip entry that overlaps another');
  });

  test('a compressed entry, an encrypted entry', async () => {
    expect((await refusal(withEntry('data/0', { method: 8 }))).problem).toContain('compressed zip entries');
    const encrypted = withEntry('data/0', { flags: 1 });
    expect((await refusal(encrypted)).problem).toMatch(/encrypted zip entries|cannot be read/);
  });

  test('an entry that is larger than the file', async () => {
    const zip64 = withEntry('data/0', { zip64: true, size: 2 ** 45 });
    expect((await refusal(zip64)).problem).toContain('cut short or damaged');
    expect((await refusal(withEntry('data/0', { size: 100_000 }))).problem).toContain('cut short or damaged');
    expect((await refusal(withEntry('data.pkl', { size: 4e9 }))).problem).toContain('cut short or damaged');
  });

  test('an entry that points into nothing', async () => {
    expect((await refusal(withEntry('data/0', { at: 7 }))).problem).toContain('cut short or damaged');
    expect((await refusal(withEntry('data/0', { at: 4e9 }))).problem).toContain('cut short or damaged');
  });

  test('a missing storage', async () => {
    const { problem, details } = await refusal(parts().slice(0, 2));
    expect(problem).toContain('a part of it is missing');
    expect(details.entry).toBe('"archive/data/0"');
  });

  test('a big-endian file', async () => {
    const big = withEntry('byteorder', { data: new TextEncoder().encode('big') });
    expect((await refusal(big)).problem).toContain('not written on a little-endian machine');
  });

  test('a program', async () => {
    const { problem } = await refusal([...parts(), { name: 'archive/constants.pkl', data: numbers }]);
    expect(problem).toContain('a TorchScript program');
  });

  test('a pickle that is cut short', async () => {
    const pickle = p.stateDict();
    for (const length of [0, 1, 2, 40, pickle.length - 1]) {
      const { problem } = await refusal(withEntry('data.pkl', { data: pickle.subarray(0, length) }));
      expect(problem).toContain('its pickle is cut short');
    }
  });

  test('a pickle that runs something', async () => {
    const data = p.pickle(p.global('os', 'system'), p.tuple(p.text('true')), p.REDUCE);
    expect((await refusal(withEntry('data.pkl', { data }))).problem).toContain('refers to os.system');
  });
});

test.each<[string, p.TensorInstructions, string]>([
  ['a storage that says it is longer than it is', { elements: 7 }, 'a storage is shorter'],
  ['a storage of 2³¹ elements', { elements: 2 ** 31 - 1 }, 'a storage is shorter'],
  ['a storage of a negative size', { elements: -1 }, 'not a storage'],
  ['a storage key that leads elsewhere', { key: '../../x' }, 'a part of it is missing'],
  ['a storage key that means something to JavaScript', { key: '__proto__' }, 'a part of it is missing'],
  ['a negative offset', { offset: -1 }, 'malformed'],
  ['an offset beyond the storage', { offset: 1 }, 'reaches beyond its storage'],
  ['a negative stride', { strides: [-3, 1] }, 'malformed'],
  ['a stride beyond the storage', { strides: [4, 1] }, 'reaches beyond its storage'],
  ['a negative size', { shape: [-2, 3] }, 'malformed'],
  ['a size beyond the storage', { shape: [3, 3] }, 'reaches beyond its storage'],
  [
    'an element repeated beyond the storage',
    { shape: [2 ** 30], strides: [0] },
    'reaches beyond its storage',
  ],
  ['a size that cannot be counted', { shape: [2 ** 30, 2 ** 30, 2 ** 30], strides: [0, 0, 0] }, 'malformed'],
  ['fewer strides than sizes', { shape: [2, 3], strides: [1] }, 'malformed'],
  ['70 dimensions', { shape: Array(70).fill(1), strides: Array(70).fill(1) }, 'malformed'],
  ['a storage of complex numbers', { storage: 'ComplexFloatStorage' }, 'torch.ComplexFloatStorage'],
])('%s is refused', async (_name, options, problem) => {
  expect((await refusal(parts(options))).problem).toContain(problem);
});

test('a shape of 100,000 lists in each other is refused', async () => {
  const nested = Array.from({ length: 100_000 }, () => [...p.EMPTY_LIST]).flat();
  const closing = Array.from({ length: 99_999 }, () => [...p.APPEND]).flat();
  const whole = p.tensor({ shape: [1], strides: [1] });
  const shape = p.tuple(p.integer(1));
  const at = whole.findIndex((_, i) => shape.every((byte, j) => whole[i + j] === byte));
  const tensor = [
    ...whole.slice(0, at),
    ...p.tuple([...nested, ...closing]),
    ...whole.slice(at + shape.length),
  ];
  const data = p.pickle(p.EMPTY_DICT, p.text('w'), tensor, p.SETITEM);
  expect((await refusal(withEntry('data.pkl', { data }))).problem).toContain('malformed');
});

test.each<[string, readonly number[], string]>([
  ['a number', p.integer(7), 'no dict of names'],
  ['an empty dict', p.EMPTY_DICT, 'no dict of names'],
  ['a dict of texts', [...p.EMPTY_DICT, ...p.text('a'), ...p.text('b'), ...p.SETITEM], '"a"'],
])('a file that holds %s is refused', async (_name, value, holds) => {
  const { problem, details } = await refusal(withEntry('data.pkl', { data: p.pickle(value) }));
  expect(problem).toContain('a PyTorch file without named tensors');
  expect(details['it holds']).toBe(holds);
});

/** A dict with one entry, as instructions of a pickle. */
const dictOf = (name: string, value: readonly number[]) => [
  ...p.EMPTY_DICT,
  ...p.text(name),
  ...value,
  ...p.SETITEM,
];

test.each<[string, readonly number[], string]>([
  ['a textual inversion', dictOf('string_to_param', dictOf('*', p.tensor())), 'string_to_param.*'],
  ['a file of Lightning', dictOf('state_dict', dictOf('w', p.tensor())), 'w'],
  ['a state_dict in another', dictOf('state_dict', dictOf('state_dict', dictOf('w', p.tensor()))), 'w'],
])('%s has its tensors in dicts within', async (_name, object, tensor) => {
  const entries = withEntry('data.pkl', { data: p.pickle(object) });
  expect([...(await read(zipOf(entries))).weights.keys()]).toEqual([tensor]);
});

test('8-bit floats are read', async () => {
  const weight = [...p.text('w'), ...p.tensor({ dtype: 'float8_e4m3fn', elements: 24 })];
  const archive = withEntry('data.pkl', { data: p.pickle(p.EMPTY_DICT, p.MARK, weight, p.SETITEMS) });
  expect((await read(zipOf(archive))).weights.get('w')).toMatchObject({ dtype: 'f8_e4m3', shape: [2, 3] });
});

test('a tensor of wide numbers over a storage of bytes is counted in bytes', async () => {
  const data = p.pickle(p.EMPTY_DICT, p.text('w'), p.tensor({ dtype: 'float32', elements: 23 }), p.SETITEM);
  const entries = withEntry('data.pkl', { data });
  const short = entries.map((entry) =>
    entry.name.endsWith('/0') ? { ...entry, data: numbers.subarray(0, 23) } : entry,
  );
  expect((await refusal(short)).problem).toContain('reaches beyond its storage');
});

test('a file that is cut short anywhere is refused', async () => {
  for (let length = 4; length < fixture.length; length += 37) {
    expect((await refusal(fixture.subarray(0, length))).problem).toContain('cut short or damaged');
  }
});

test('whatever bytes of a file are changed, it is read or refused, and nothing else happens', async () => {
  const readAll = async (bytes: Uint8Array) => {
    const { weights } = await read(bytes);
    for (const weight of weights.values()) await drain(weight);
  };
  for (const original of [zipOf(parts()), fixture]) await expectReadOrRefused(original, readAll, 700);
});

test.each([
  ['dicts', [0x7d]],
  ['lists', [0x5d]],
  ['tuples', [0x29]],
  ['kept values', [0x4e, 0x94]],
])('a megabyte of empty %s is refused by its work before it takes memory', async (_, instruction) => {
  const many = Array.from({ length: 1e6 }).flatMap(() => instruction);
  const data = Uint8Array.from([0x80, 2, 0x4e, ...many, 0x2e]);
  const [, ...others] = parts();
  const error = await refusal([{ name: 'archive/data.pkl', data }, ...others]);
  expect(error.problem).toContain('takes more than 2,000,000 steps');
});

test('an archive with more entries than a checkpoint has is refused before they are read', async () => {
  const more = Array.from({ length: 30_000 }, (_, n) => ({
    name: `archive/data/x${n}`,
    data: new Uint8Array(),
  }));
  const source = memorySource(zipOf([...parts(), ...more]), 'model.ckpt');
  const read = vi.spyOn(source, 'read');
  await expect(readTorchZip(source)).rejects.toThrow('too many zip entries');
  expect(read.mock.calls.length).toBeLessThan(10);
});

test('small entries are read many at a time', async () => {
  const more = Array.from({ length: 5000 }, (_, n) => ({
    name: `archive/data/x${n}`,
    data: new Uint8Array(),
  }));
  const source = memorySource(zipOf([...parts(), ...more]), 'model.ckpt');
  const read = vi.spyOn(source, 'read');
  expect((await readTorchZip(source)).weights.size).toBe(1);
  expect(read.mock.calls.length).toBeLessThan(500);
});
