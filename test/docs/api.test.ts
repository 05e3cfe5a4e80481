import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as sdconvert from '../../src/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/api.md'), 'utf8');
const temporary = temporaryFolder();

test('the programs of the page compile', () => {
  const programs = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, program = '']) => program);
  expect(programs.length).toBeGreaterThan(0);
  const settings = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: true,
      allowImportingTsExtensions: true,
      paths: { sdconvert: [join(root, 'src/index.ts')] },
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: ['*.ts'],
  };
  writeFileSync(temporary('tsconfig.json'), JSON.stringify(settings));
  writeFileSync(temporary('package.json'), '{"type":"module"}');
  for (const [index, program] of programs.entries()) writeFileSync(temporary(`program${index}.ts`), program);
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', temporary()], { encoding: 'utf8' });
});

test('every function that the page names is exported', () => {
  const table = /## Functions\n(.*?)## Context/s.exec(page)?.[1] ?? '';
  const rows = [...table.matchAll(/^\| `(\w+)` /gm)].map(([, name = '']) => name);
  expect(rows.length).toBe(19);
  for (const name of rows) expect(sdconvert).toHaveProperty(name, expect.any(Function));
});
