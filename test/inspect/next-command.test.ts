import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commandNames } from '../../cli/commands.ts';
import { nextCommand } from '../../src/inspect/next-command.ts';
import { shellWord } from '../../src/io/shell-word.ts';

test('a command can be pasted, whatever its paths are called', () => {
  expect(nextCommand('inspect', 'my models/it’s', '--for', 'mochi').command).toBe(
    "sdconvert inspect 'my models/it’s' --for mochi",
  );
  expect(shellWord("it's", 'linux')).toBe(String.raw`'it'\''s'`);
  expect(shellWord('', 'linux')).toBe("''");
});

test('on Windows, paths stay as they are where they can, and quotes are double', () => {
  expect(shellWord(String.raw`C:\models\sd15`, 'win32')).toBe(String.raw`C:\models\sd15`);
  expect(shellWord(String.raw`C:\my models\it's`, 'win32')).toBe(String.raw`"C:\my models\it's"`);
});

test('no advice puts a path into a command unquoted', () => {
  const root = join(import.meta.dirname, '../..');
  // Ids and variants of repositories need no quotes.
  const plain = /\$\{(repo|path|variant)[ }]|shellWord\(/;
  const unquoted = new RegExp(String.raw`sdconvert (?:${commandNames.join('|')}|\./)[^\`]*\$\{`);
  const found = globSync('{cli,src}/**/*.ts', { cwd: root }).flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .filter((line) => unquoted.test(line) && !plain.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  );
  expect(found).toEqual([]);
});
