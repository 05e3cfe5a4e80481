import { globSync, readFileSync } from 'node:fs';
import { join, posix, win32 } from 'node:path';
import { expect, test } from 'vitest';
import { pathFrom } from '../../src/io/path-from.ts';

test('a path is on record in the same way on every system', () => {
  expect(pathFrom('C:\\out', 'C:\\out\\onnx\\unet', win32)).toBe('onnx/unet');
  expect(pathFrom('/out', '/out/onnx/unet', posix)).toBe('onnx/unet');
  // Elsewhere a backslash is a letter.
  expect(pathFrom('/out', '/out/a\\b', posix)).toBe('a\\b');
});

test('nothing else takes paths relative to a folder but what never leaves the machine', () => {
  const root = join(import.meta.dirname, '../..');
  const own = ['src/io/path-from.ts', 'src/io/disk.ts'];
  const found = globSync('{src,cli}/**/*.ts', { cwd: root })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => /\brelative\(/.test(readFileSync(join(root, file), 'utf8')));
  expect(found.sort()).toEqual(own.sort());
});
