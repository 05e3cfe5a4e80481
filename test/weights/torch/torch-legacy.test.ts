import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SdConvertError } from '../../../src/errors.ts';
import { readTorchLegacy } from '../../../src/weights/torch/torch-legacy.ts';
import { expectReadOrRefused } from '../../support/changed-bytes.ts';
import { drain } from '../../support/drain.ts';
import { memorySource } from '../../support/memory-source.ts';
import * as p from '../../support/pickle-bytes.ts';
import { joined } from '../../support/zip-bytes.ts';

const fixture = new Uint8Array(readFileSync(new URL('../../fixtures/torch/legacy.bin', import.meta.url)));

const good = {
  magic: p.pickle([0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]),
  protocol: p.pickle(p.integer(1001)),
  machine: p.pickle(p.EMPTY_DICT, p.text('little_endian'), [0x88], p.SETITEM),
  object: p.stateDict(),
  keys: p.pickle(p.EMPTY_LIST, p.text('0'), p.APPEND),
  count: new Uint8Array(BigUint64Array.of(6n).buffer),
  numbers: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer),
};

function file(change: Partial<typeof good> = {}): Uint8Array {
  return joined(Object.values({ ...good, ...change }));
}

function read(bytes: Uint8Array) {
  return readTorchLegacy(memorySource(bytes, 'model.bin'));
}

/** The error for a file, checked to be one sentence that names the file, with what to do next. */
async function refusal(bytes: Uint8Array): Promise<SdConvertError> {
  const error: unknown = await read(bytes).then(
    () => undefined,
    (reason) => reason,
  );
  if (!(error instanceof SdConvertError)) throw new Error(`not refused as it should be: ${error}`);
  expect(error.problem).toMatch(/^model\.bin .*[^.]\.$/);
  expect(error.advice).toMatch(/\.$/);
  return error;
}

test('storages lie behind the pickles, in the order of their keys', async () => {
  const weight = (await read(file())).weights.get('w');
  if (!weight) throw new Error('no w');
  expect(weight).toMatchObject({ dtype: 'f32', shape: [2, 3], file: 'model.bin' });
  expect(await drain(weight)).toEqual(good.numbers);
});

test('a pickle that is longer than what is read first is read to its end', async () => {
  const note = [...p.text('note'), ...p.text('x'.repeat(1_100_000))];
  const object = p.pickle(p.EMPTY_DICT, p.MARK, note, p.text('w'), p.tensor(), p.SETITEMS);
  expect((await read(file({ object }))).weights.size).toBe(1);
});

describe('a broken file is refused', () => {
  test.each<[string, Partial<typeof good>, string]>([
    ['another pickle', { magic: p.pickle(p.integer(1)) }, 'a Python pickle, but not one that PyTorch wrote'],
    ['another protocol', { protocol: p.pickle(p.integer(1002)) }, 'its protocol is not 1001'],
    ['a big-endian machine', { machine: p.pickle(p.EMPTY_DICT) }, 'not written on a little-endian machine'],
    ['no list of keys', { keys: p.pickle(p.integer(1)) }, 'its list of storages'],
    ['an unknown key', { keys: p.pickle(p.EMPTY_LIST, p.text('1'), p.APPEND) }, 'its list of storages'],
    ['a key twice', { keys: p.pickle(p.tuple(p.text('0'), p.text('0'))) }, 'its list of storages'],
    ['no keys', { keys: p.pickle(p.EMPTY_LIST) }, 'reaches beyond its storage'],
    [
      'a storage that is shorter than its tensor',
      { count: new Uint8Array(BigUint64Array.of(5n).buffer) },
      'shorter',
    ],
    ['a storage of 2⁶⁴ elements', { count: new Uint8Array(8).fill(255) }, 'cut short'],
    ['a program', { object: p.pickle(p.global('os', 'system')) }, 'refers to os.system'],
  ])('%s', async (_name, change, problem) => {
    expect((await refusal(file(change))).problem).toContain(problem);
  });

  test('a program before the magic number', async () => {
    expect((await refusal(p.pickle(p.global('builtins', 'exec')))).problem).toContain(
      'refers to builtins.exec',
    );
  });

  test('a view of a storage, of PyTorch before 0.4', async () => {
    const view = p.tuple(p.text('v'), p.integer(0), p.integer(6));
    const storage = p.tuple(
      p.text('storage'),
      p.global('torch', 'FloatStorage'),
      p.text('0'),
      p.text('cpu'),
      p.integer(6),
      view,
    );
    const { problem } = await refusal(file({ object: p.pickle(storage, p.BINPERSID) }));
    expect(problem).toContain('views of storages');
  });
});

test('a file that is cut short anywhere is refused', async () => {
  for (let length = 2; length < fixture.length; length += 7)
    expect((await refusal(fixture.subarray(0, length))).problem).toContain('cut short');
});

test('whatever bytes of a file are changed, it is read or refused, and nothing else happens', async () => {
  const readAll = async (bytes: Uint8Array) => {
    const { weights } = await read(bytes);
    for (const weight of weights.values()) await drain(weight);
  };
  for (const original of [file(), fixture]) await expectReadOrRefused(original, readAll, 1000);
});
