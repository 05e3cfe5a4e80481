import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const notice = readFileSync(join(root, 'NOTICE'), 'utf8');

test('every file in assets/ has its origin and licence in NOTICE', () => {
  const named = notice.split('\n').filter((line) => line.startsWith('assets/'));
  const files = globSync('assets/**/*.*', { cwd: root }).map((file) => file.replaceAll('\\', '/'));
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => !named.some((place) => file.startsWith(place)))).toEqual([]);
  for (const place of named) expect(files.filter((file) => file.startsWith(place))).not.toEqual([]);
});

test('the npm package brings NOTICE along', () => {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(files).toContain('NOTICE');
});
