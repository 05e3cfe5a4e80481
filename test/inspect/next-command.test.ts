import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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

/** What is inserted after the name of the command, and after an option. */
const inserted = [/\bsdconvert [^`$.:]*\$\{([^}]*)\}/g, / --[a-z-]+ \$\{([^}]*)\}/g];

/** Numbers, and words of sdconvert's own. */
const own = [
  /^(?:card\.|record\.)?(?:sdconvert|version)$/,
  /^(?:client|attention|seed|nearest|other)$/,
  /^Math\./,
  /^(?:part\.replaceAll|asked\.join)\(/,
];

test('what a sentence inserts into a command is quoted for a shell: names are anybody’s', () => {
  const root = join(import.meta.dirname, '../..');
  const found = globSync('{src,cli}/**/*.ts', { cwd: root }).flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return inserted.flatMap((pattern) =>
      [...text.matchAll(pattern)]
        .filter(([, what = '']) => !what.includes('shellWord(') && !own.some((each) => each.test(what)))
        .map(([whole]) => `${file}: ${whole}`),
    );
  });
  expect(found).toEqual([]);
});
