import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('no path is taken from an address, where a space is %20 and a drive of Windows has a slash before it', () => {
  const files = globSync('{benchmarks,cli,hunt,scripts,src,test}/**/*.ts', { cwd: root });
  const found = files.filter((file) =>
    /import\.meta\.url\)\s*\.pathname/.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(found).toEqual([]);
});

test('npm’s scripts need no shell of Unix', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const programs = ['biome', 'knip', 'node', 'npm run', 'rolldown', 'tsc', 'vitest'];
  const steps = Object.values<string>(scripts).flatMap((script) => script.split(' && '));
  expect(
    steps.filter((step) => !programs.some((program) => step.startsWith(`${program} `) || step === program)),
  ).toEqual([]);
  expect(steps.filter((step) => step.includes("'") && !step.includes('"'))).toEqual([]);
});
