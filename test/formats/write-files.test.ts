import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FileContents } from '../../src/formats/artifact.ts';
import { writeTogether } from '../../src/formats/write-files.ts';
import { memoryStream, streamIn, type TensorStream } from '../../src/weights/tensor-stream.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { memoryWeight } from '../support/memory-weight.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

/** Weights a, b, c, … of 1000 numbers, each its letter's; `streamed` tells which were read, in order. */
function weights(): { readonly streamed: string[]; tensor(name: string): TensorStream } {
  const streamed: string[] = [];
  const all = new Map<string, Weight>();
  return {
    streamed,
    tensor(name) {
      const made = memoryWeight(name, [1000], new Float32Array(1000).fill(name.charCodeAt(0)));
      const weight = all.get(name) ?? {
        ...made,
        stream(dtype) {
          streamed.push(name);
          return made.stream(dtype);
        },
      };
      all.set(name, weight);
      return { name: `${name} as it is called here`, byteLength: 2000, stream: streamIn(weight, 'f16') };
    },
  };
}

/** A file with a header, and tensors with gaps between them. */
function fileOf(name: string, tensors: readonly TensorStream[]): FileContents {
  const header = { offset: 0, tensor: memoryStream('header', Uint8Array.of(1, 2, 3)) };
  return {
    name,
    parts: [header, ...tensors.map((tensor, index) => ({ offset: 2048 * (index + 1), tensor }))],
  };
}

const half = (letter: string): number => {
  const [code = 0] = new Uint16Array(new Float16Array([letter.charCodeAt(0)]).buffer);
  return code;
};

function expected(letters: string): Uint8Array {
  const bytes = new Uint8Array(2048 * letters.length + 2000);
  bytes.set([1, 2, 3]);
  for (const [index, letter] of [...letters].entries())
    new Uint16Array(bytes.buffer, 2048 * (index + 1), 1000).fill(half(letter));
  return bytes;
}

/** Writes two folders of files, whose tensors are letters, together. */
async function write(name: string, first: Record<string, string>, second: Record<string, string>) {
  const { streamed, tensor } = weights();
  const counted = [0, 0];
  const folders = [first, second].map((files, index) => ({
    folder: at(name, String(index)),
    files: Object.entries(files).map(([file, letters]) => fileOf(file, [...letters].map(tensor))),
    onBytes: (count: number) => {
      counted[index] = (counted[index] ?? 0) + count;
    },
  }));
  const takers: string[] = [];
  const written = await writeTogether(folders, (folder) =>
    takers.push(folder.map((each) => folders.indexOf(each)).join('')),
  );
  for (const [index, files] of [first, second].entries()) {
    for (const [file, letters] of Object.entries(files)) {
      const bytes = expected(letters);
      expect(Buffer.compare(readFileSync(at(name, String(index), file)), bytes), file).toBe(0);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      expect(written[index]).toContainEqual({ name: file, byteLength: bytes.length, sha256 });
    }
    const total = written[index]?.reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(counted[index]).toBe(total);
  }
  return { streamed: streamed.join(''), takers };
}

test('a weight that two folders hold is read once', async () => {
  const { streamed, takers } = await write('same', { x: 'abcd' }, { y: 'abcd' });
  expect(streamed).toBe('abcd');
  expect(takers).toEqual(['0', '1', '01', '01', '01', '01']);
});

test('what only one holds, and where files end, makes no difference', async () => {
  expect((await write('cut', { x: 'ab', y: 'cd' }, { x: 'aBbc', y: 'Dd' })).streamed).toBe('aBbcDd');
});

test('where the orders cross, a weight is read again, and the bytes are right', async () => {
  const { streamed } = await write('crossed', { x: 'abcde' }, { y: 'acbde' });
  expect([...streamed].sort().join('')).toMatch(/^ab{1,2}c{1,2}de$/);
  expect(streamed.length).toBe(6);
  expect((await write('reversed', { x: 'abc' }, { y: 'cba' })).streamed.length).toBeLessThanOrEqual(5);
});

test('a weight that fails leaves none of the files', async () => {
  const { tensor } = weights();
  const broken = { name: 'broken', byteLength: 10, stream: () => [new Uint8Array(9)] };
  const folders = ['0', '1'].map((name) => ({
    folder: at('broken', name),
    files: [fileOf('done', [tensor('a')]), fileOf('file', [tensor('b'), broken])],
    onBytes: () => {},
  }));
  await expect(writeTogether(folders)).rejects.toThrow('broken gave 9 bytes instead of 10');
  for (const { folder } of folders) {
    expect(readdirSync(folder)).toEqual(['done']);
    expect(existsSync(join(folder, 'file'))).toBe(false);
  }
});

test('tensors that take long are prepared while those before them stream', async () => {
  const events: string[] = [];
  const prepared = (name: string): TensorStream => ({
    name,
    byteLength: 1,
    prepare: () => void (events.includes(`${name} prepared`) || events.push(`${name} prepared`)),
    *stream() {
      events.push(`${name} streams`);
      yield Uint8Array.of(1);
    },
  });
  const files = [fileOf('file', ['a', 'b', 'c'].map(prepared))];
  await writeTogether([{ folder: at('prepared'), files, onBytes: () => {} }]);
  expect(events.indexOf('c prepared')).toBeLessThan(events.indexOf('a streams'));
});
