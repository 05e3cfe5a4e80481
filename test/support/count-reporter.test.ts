import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from './temporary-folder.ts';

const inFolder = temporaryFolder();

/** The last line that vitest prints, run on its own over files with these contents. */
function lastLineOf(files: Readonly<Record<string, string>>): string | undefined {
  const reporter = new URL('count-reporter.ts', import.meta.url).href;
  const config = `import { CountReporter } from '${reporter}';
    export default { test: { globals: true, reporters: ['default', new CountReporter()] } };`;
  for (const [name, text] of Object.entries({ ...files, 'vitest.config.ts': config })) {
    writeFileSync(inFolder(name), text);
  }
  const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
  const run = spawnSync(process.execPath, [vitest, 'run', ...Object.keys(files)], {
    cwd: inFolder(),
    encoding: 'utf8',
  });
  return run.stdout.trimEnd().split('\n').at(-1);
}

test('a run that went well ends with its number of tests and no failures', () => {
  const files = { 'well.test.ts': 'test("one", () => {}); test("two", () => {});' };
  expect(lastLineOf(files)).toBe('2 passed, 0 failed');
});

test('failed tests, files that do not load, hooks and stray errors are all failures; skipped tests are told apart', () => {
  const files = {
    'mixed.test.ts':
      'test("one", () => {}); test("two", () => { throw new Error(); }); test.skip("three", () => {});',
    'unloadable.test.ts': 'import "./nothing.ts"; test("one", () => {});',
    'hook.test.ts':
      'describe("group", () => { beforeAll(() => { throw new Error(); }); test("one", () => {}); });',
    'stray.test.ts': `test("one", () => new Promise((resolve) => {
      setTimeout(() => { throw new Error(); }, 1);
      setTimeout(resolve, 50);
    }));`,
  };
  expect(lastLineOf(files)).toBe('2 passed, 4 failed, 2 skipped');
});
