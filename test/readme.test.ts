import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const links = [...readme.matchAll(/\]\(([^)]*)\)/g)].map(([, link = '']) => link);
const ours =
  /^https:\/\/(?:github\.com\/sdconvert\/sdconvert\/(?:blob|tree)|raw\.githubusercontent\.com\/sdconvert\/sdconvert)\/main\/(.*)$/;

test('README’s links and pictures work on the page of npm, where no file lies beside it', () => {
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((link) => !link.startsWith('https://') && !link.startsWith('#'))).toEqual([]);
});

test('what README links to in the repository is there', () => {
  const files = links.flatMap((link) => ours.exec(link)?.slice(1) ?? []);
  expect(files.length).toBeGreaterThan(5);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});
