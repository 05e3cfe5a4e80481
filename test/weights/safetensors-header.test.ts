import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileFormatError, SdConvertError, UnsupportedModelError } from '../../src/errors.ts';
import { readSafetensorsHeader } from '../../src/weights/safetensors-header.ts';
import { memorySource } from '../support/memory-source.ts';

/** A file with this header text and this many bytes of data. */
function fileWith(header: string, dataBytes: number): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

function read(bytes: Uint8Array) {
  return readSafetensorsHeader(memorySource(bytes));
}

/** The error for a file, checked to be one sentence that names the file. */
async function refusal(bytes: Uint8Array): Promise<SdConvertError> {
  const error = await read(bytes).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof SdConvertError)) throw new Error(`not refused as it should be: ${error}`);
  expect(error.problem).toMatch(/^memory\.safetensors .*[^.]\.$/);
  expect(error.advice).toMatch(/\.$/);
  return error;
}

const pair = {
  a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
  b: { dtype: 'BF16', shape: [], data_offsets: [24, 26] },
};

test('a header gives each tensor’s dtype, shape and place, in the order of the data', async () => {
  const text = JSON.stringify({ b: pair.b, __metadata__: { format: 'pt' }, a: pair.a });
  const { metadata, entries } = await read(fileWith(text, 26));
  const start = 8 + text.length;
  expect(metadata).toEqual({ format: 'pt' });
  expect([...entries.values()]).toEqual([
    { name: 'a', dtype: 'f32', shape: [2, 3], offset: start, bytes: 24 },
    { name: 'b', dtype: 'bf16', shape: [], offset: start + 24, bytes: 2 },
  ]);
});

test('trailing spaces, empty tensors and a file without tensors are allowed', async () => {
  const empty = { e: { dtype: 'I64', shape: [0, 4], data_offsets: [24, 24] }, ...pair };
  expect((await read(fileWith(`${JSON.stringify(empty)}     `, 26))).entries.size).toBe(3);
  expect((await read(fileWith('{}', 0))).entries.size).toBe(0);
});

test('names that mean something to JavaScript are names like any other', async () => {
  const text =
    '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"constructor":{"dtype":"BOOL","shape":[],"data_offsets":[1,2]}}';
  expect([...(await read(fileWith(text, 2))).entries.keys()]).toEqual(['__proto__', 'constructor']);
});

describe('a broken header is refused', () => {
  const entry = (fields: object) => JSON.stringify({ t: { ...pair.a, ...fields } });
  test.each<[name: string, header: string, dataBytes: number, says: string]>([
    ['that is not JSON', '{"a":', 0, 'not valid UTF-8 JSON'],
    [
      'with one name twice',
      `{"a":${JSON.stringify(pair.a)},"\\u0061":${JSON.stringify(pair.a)}}`,
      24,
      'one key twice',
    ],
    [
      'with one field twice',
      '{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      1,
      'one key twice',
    ],
    [
      'that overlaps two tensors',
      JSON.stringify({ ...pair, c: { ...pair.a, data_offsets: [20, 44] } }),
      44,
      'two tensors overlap',
    ],
    ['with a hole before the first tensor', entry({ data_offsets: [4, 28] }), 28, 'a hole of 4 bytes'],
    [
      'with a hole between tensors',
      JSON.stringify({ ...pair, c: { ...pair.b, data_offsets: [28, 30] } }),
      30,
      'a hole of 2 bytes',
    ],
    ['with bytes left over at the end', JSON.stringify(pair), 27, 'bytes after the last tensor'],
    ['whose shape does not match its bytes', entry({ shape: [2, 4] }), 24, 'shape does not match its bytes'],
    ['whose offsets run backwards', entry({ data_offsets: [24, 0] }), 24, 'shape does not match its bytes'],
    ['whose shape overflows', entry({ shape: [2 ** 40, 2 ** 40, 0] }), 24, 'too large to count'],
    ['with a negative size', entry({ shape: [-2, -3] }), 24, 'malformed'],
    ['with a fractional size', entry({ shape: [1.5, 4] }), 24, 'malformed'],
    ['with a size beyond exact integers', entry({ shape: [2 ** 53] }), 24, 'malformed'],
    ['with an offset that is text', entry({ data_offsets: ['0', '24'] }), 24, 'malformed'],
    ['with three offsets', entry({ data_offsets: [0, 12, 24] }), 24, 'malformed'],
    ['without a dtype', '{"t":{"shape":[],"data_offsets":[0,0]}}', 0, 'malformed'],
    ['whose tensor is null', '{"t":null}', 0, 'malformed'],
    ['with a dtype nobody knows', entry({ dtype: 'F31' }), 24, 'unknown dtype'],
    ['with a dtype that JavaScript knows', entry({ dtype: 'toString' }), 24, 'unknown dtype'],
    ['whose metadata is not text', '{"__metadata__":{"epoch":3}}', 0, 'something other than strings'],
    ['whose metadata is a list', '{"__metadata__":["pt"]}', 0, '__metadata__ is not a JSON object'],
  ])('%s', async (_name, header, dataBytes, says) => {
    const error = await refusal(fileWith(header, dataBytes));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain(says);
  });

  test('that is not UTF-8', async () => {
    const bytes = fileWith('{"?":1}', 0);
    bytes[10] = 0xff;
    expect((await refusal(bytes)).problem).toContain('not valid UTF-8 JSON');
  });

  test('that overlaps two tensors, naming both', async () => {
    const header = JSON.stringify({ first: pair.a, second: { ...pair.a, data_offsets: [8, 32] } });
    expect((await refusal(fileWith(header, 32))).details).toEqual({ first: '"first"', second: '"second"' });
  });
});

test('8-bit floats are read', async () => {
  const header =
    '{"a":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F8_E5M2","shape":[],"data_offsets":[4,5]}}';
  const { entries } = await read(fileWith(header, 5));
  expect([...entries.values()].map(({ dtype }) => dtype)).toEqual(['f8_e4m3', 'f8_e5m2']);
});

test('other small floats are refused by their name, with what to use instead', async () => {
  const error = await refusal(fileWith('{"t":{"dtype":"F8_E8M0","shape":[4],"data_offsets":[0,4]}}', 4));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.problem).toBe('memory.safetensors holds F8_E8M0 weights, which are not supported.');
  expect(error.advice).toContain('float16');
});

test('a file that was cut short says how many bytes are missing', async () => {
  const whole = fileWith(JSON.stringify(pair), 26);
  const inData = await refusal(whole.subarray(0, whole.length - 13));
  expect(inData.problem).toBe('memory.safetensors is cut short: 13 bytes are missing.');
  const inHeader = await refusal(whole.subarray(0, 50));
  const headerBytes = JSON.stringify(pair).length;
  expect(inHeader.problem).toBe(
    `memory.safetensors is cut short: at least ${8 + headerBytes - 50} bytes are missing.`,
  );
});

describe('what people have in hand instead is called by its name', () => {
  const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
  const zeros = '\0'.repeat(40);
  test.each([
    ['an empty file', '', 'is empty', 'Download'],
    [
      'a Git-LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3438167534\n',
      'a Git-LFS pointer',
      'git lfs pull',
    ],
    ['a web page', '\n<!DOCTYPE html>\n<html><head><title>401</title>', 'a web page', 'needs a token'],
    ['a zipped .ckpt', `PK\x03\x04\0\0\x08\x08${zeros}`, 'a zip archive', 'right file'],
    ['a pickled .ckpt', `\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.${zeros}`, 'a Python pickle', 'right file'],
    ['a GGUF file', `GGUF\x03\0\0\0${zeros}`, 'a GGUF file', 'right file'],
    ['a server’s answer', 'Entry not found', 'is not a safetensors file', 'right file'],
    ['another binary file', `\x89PNG\r\n\x1a\n${zeros}`, 'is not a safetensors file', 'right file'],
  ])('%s', async (_name, content, says, advice) => {
    const error = await refusal(latin1(content));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toContain(says);
    expect(error.advice).toContain(advice);
  });

  test('and its beginning is shown: text as text, bytes as bytes', async () => {
    expect((await refusal(latin1('Entry not found'))).details).toEqual({
      'begins with': '"Entry not found"',
    });
    expect((await refusal(Uint8Array.of(1, 254, 0))).details).toEqual({ 'begins with': '01 fe 00' });
  });
});

test('a safetensors file whose length happens to begin like a pickle is read all the same', async () => {
  // 0x80 0x02 are also the low bytes of the length 640.
  expect((await read(fileWith('{}'.padEnd(0x0280), 0))).entries.size).toBe(0);
});

test('a length that a stranger made up does not make us reserve memory', async () => {
  for (const length of [99_999_999n, 100_000_001n, 2n ** 63n]) {
    const bytes = fileWith('{}'.padEnd(2000), 0);
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    const source = memorySource(bytes);
    await expect(readSafetensorsHeader(source)).rejects.toThrow(FileFormatError);
    expect(source.largestRead).toBeLessThan(1000);
  }
});

test.each(['[', '{"a":'])('200,000 times %s does not bring us down', async (open) => {
  const close = open === '[' ? ']' : '}';
  const deep = `${open.repeat(200_000)}1${close.repeat(200_000)}`;
  for (const header of [`{"t":${deep}}`, `{"t":{"dtype":"F32","shape":${deep},"data_offsets":[0,4]}}`]) {
    const error = await refusal(fileWith(header, 4));
    expect(error.message.length).toBeLessThan(500);
  }
});

test('a very long name is cut in the error', async () => {
  const header = JSON.stringify({ ['n'.repeat(1_000_000)]: { ...pair.a, shape: [5] } });
  expect((await refusal(fileWith(header, 24))).message.length).toBeLessThan(600);
});

describe('whatever the bytes are, they are read or refused, and nothing else happens', () => {
  async function readOrRefuse(bytes: Uint8Array): Promise<void> {
    const source = memorySource(bytes);
    try {
      const { entries } = await readSafetensorsHeader(source);
      const data = [...entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
      expect(data).toBeLessThan(bytes.length);
    } catch (error) {
      if (!(error instanceof FileFormatError || error instanceof UnsupportedModelError)) throw error;
    }
    expect(source.largestRead).toBeLessThanOrEqual(bytes.length);
  }

  test('random bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), readOrRefuse));
  });

  test('random bytes as a header', async () => {
    const header = fc.string({ unit: 'binary', maxLength: 200 }).map((text) => fileWith(`{${text}`, 10));
    await fc.assert(fc.asyncProperty(header, readOrRefuse));
  });

  test('a whole file in which some bytes were changed', async () => {
    const whole = fileWith(JSON.stringify({ __metadata__: { format: 'pt' }, ...pair }), 26);
    const changes = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 })), {
      maxLength: 3,
    });
    const changed = fc.tuple(changes, fc.nat(40)).map(([edits, cut]) => {
      const bytes = whole.slice(0, whole.length - cut);
      for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
    await fc.assert(fc.asyncProperty(changed, readOrRefuse), { numRuns: 500 });
  });

  test('headers that look right and are not', async () => {
    const number = fc.oneof(fc.nat(64), fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 53, 1e300));
    const tensor = fc.record(
      {
        dtype: fc.constantFrom('F32', 'F16', 'BOOL', 'F8_E5M2', 'X', 7),
        shape: fc.oneof(fc.array(number, { maxLength: 4 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.string(), fc.oneof(tensor, fc.jsonValue()));
    const file = fc.tuple(header, fc.nat(64)).map(([value, data]) => fileWith(JSON.stringify(value), data));
    await fc.assert(fc.asyncProperty(file, readOrRefuse), { numRuns: 500 });
  });
});
