import { expect, test } from 'vitest';
import { importViolations } from '../../scripts/check-imports.ts';

function violations(files: Readonly<Record<string, string>>): string[] {
  return importViolations(new Map(Object.entries(files)));
}

test('imports of what stands before are fine, in every form', () => {
  const files = {
    'src/graph/op.ts': `import type { DType } from '../weights/dtype.ts';
      export * from '../errors.ts';
      import { createRng } from '../random/random.ts';
      import { join } from 'node:path';`,
    'src/io/disk.ts': `import { promises as fs } from 'node:fs';`,
    'src/random/random.ts': `import { RequestError } from '../errors.ts';`,
    'src/index.ts': `export { convert } from './convert/convert.ts';`,
    'cli/main.ts': `import { readFileSync } from 'node:fs';
      import { convert } from '../src/index.ts';
      console.log(process.env);`,
  };
  expect(violations(files)).toEqual([]);
});

test.for([
  [`import { unet } from '../convert/unet.ts';`, 'graph may not import convert (src/convert/unet.ts)'],
  [`import type { Unet } from '../convert/unet.ts';`, 'graph may not import convert (src/convert/unet.ts)'],
  [`export type { Unet } from "../convert/unet.ts";`, 'graph may not import convert (src/convert/unet.ts)'],
  [`export * as unet from '../convert/unet.ts';`, 'graph may not import convert (src/convert/unet.ts)'],
  [`import '../convert/unet.ts';`, 'graph may not import convert (src/convert/unet.ts)'],
  [`const unet = await import('../convert/unet.ts');`, 'graph may not import convert (src/convert/unet.ts)'],
  [`import { convert } from '../index.ts';`, 'graph may not import stages (src/index.ts)'],
  [`import { main } from '../../cli/main.ts';`, 'graph may not import cli (cli/main.ts)'],
  [`import { x } from '../new/x.ts';`, 'new is none of ground ← io ← hub ← weights ← checkpoint ← graph'],
  [
    `import { x } from '../../test/support/x.ts';`,
    'test is none of ground ← io ← hub ← weights ← checkpoint ← graph',
  ],
  [`import { readFileSync } from 'node:fs';`, 'only src/io/disk.ts may import node:fs'],
  [`import { open } from 'fs/promises';`, 'only src/io/disk.ts may import fs/promises'],
  [`import { env } from 'node:process';`, 'src/ may not import node:process'],
  [`console.warn('slow');`, 'src/ may not use console.warn'],
  [`if (bad) process.exit(1);`, 'src/ may not use process.exit'],
  [`const home = process.env.HOME;`, 'src/ may not use process.env'],
  [`if (process.env.QUIET === '1') return;`, 'src/ may not use process.env'],
] as const)('%s is a violation in src/graph', ([code, problem]) => {
  const found = violations({ 'src/graph/op.ts': `// first line\n${code}\n` });
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(`src/graph/op.ts:2  ${problem}`);
});

test('an import over several lines is seen, at its first line', () => {
  const files = { 'src/weights/a.ts': `\n\nimport {\n  b, // a note\n  c,\n} from '../graph/b.ts';\n` };
  expect(violations(files)).toEqual(['src/weights/a.ts:3  weights may not import graph (src/graph/b.ts)']);
});

test('the random numbers and the errors may not import a folder', () => {
  const files = {
    'src/random/random.ts': `import { byteSize } from '../weights/dtype.ts';`,
    'src/errors.ts': `import { convert } from './index.ts';`,
  };
  expect(violations(files)).toEqual([
    'src/random/random.ts:1  ground may not import weights (src/weights/dtype.ts)',
    'src/errors.ts:1  ground may not import stages (src/index.ts)',
  ]);
});

test('the command line may not import tests or scripts', () => {
  const files = { 'cli/main.ts': `import { countLine } from '../test/support/count-reporter.ts';` };
  expect(violations(files)[0]).toContain('cli/main.ts:1  test is none of');
});

test('files that import each other in a circle are named once, in order', () => {
  const files = {
    'src/graph/a.ts': `import { b } from './b.ts';`,
    'src/graph/b.ts': `import { c } from './c.ts';`,
    'src/graph/c.ts': `import { a } from './a.ts';`,
  };
  expect(violations(files)).toEqual([
    'src/graph/c.ts:1  imports itself in a circle: src/graph/a.ts → src/graph/b.ts → src/graph/c.ts → src/graph/a.ts',
  ]);
});

test('types that refer to each other are a circle, too: neither is understood without the other', () => {
  const files = {
    'src/graph/a.ts': `import { b } from './b.ts';`,
    'src/graph/b.ts': `import type { A } from './a.ts';`,
  };
  expect(violations(files)).toEqual([
    'src/graph/b.ts:1  imports itself in a circle: src/graph/a.ts → src/graph/b.ts → src/graph/a.ts',
  ]);
});

test('src/ itself holds six files, and a seventh wants a room', () => {
  const names = ['context', 'errors', 'index', 'pipeline', 'text', 'version', 'wishes'];
  const files = Object.fromEntries(names.map((name) => [`src/${name}.ts`, 'export {};']));
  expect(violations(files)).toEqual(['src/wishes.ts:1  src/ itself may hold 6 files, and has 7']);
});

test('a variable may be set for what is loaded, not read', () => {
  const files = {
    'src/validate/a.ts': `process.env.QUIET = '1'; fork(script, { env: { ...process.env } });`,
  };
  expect(violations(files)).toEqual([]);
});

test('comments are not code, and strings are not comments', () => {
  const files = {
    'src/graph/a.ts': `/* console.log(1)
      import { b } from '../convert/b.ts'; */
      // process.exit(1)
      const address = 'https://example.org'; console.log(address);`,
  };
  expect(violations(files)).toEqual(['src/graph/a.ts:4  src/ may not use console.log: that is for cli/']);
});
