import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

/**
 * Runs .ci/run in a clone where every command is a stub: one that `behaviours` names, by a pattern of its arguments,
 * does what stands there, in bash; `npm run test:all` passes 10 tests, a Python check passes 2, and all others succeed in silence.
 */
function run(
  behaviours: Readonly<Record<string, string>> = {},
  { shared = false, browser = true, redis = true, coreAi = true } = {},
) {
  const beside = mkdtempSync(inFolder('run-'));
  const clone = join(beside, 'main');
  const executable = (path: string, lines: readonly string[]): void => {
    mkdirSync(join(clone, path, '..'), { recursive: true });
    writeFileSync(join(clone, path), ['#!/usr/bin/env bash', ...lines, ''].join('\n'));
    chmodSync(join(clone, path), 0o755);
  };
  const stub = (others: readonly string[]): string[] => [
    'case "$*" in',
    ...Object.entries(behaviours).map(([pattern, does]) => `${pattern.replaceAll(' ', '\\ ')}) ${does} ;;`),
    ...others,
    'esac',
  ];
  mkdirSync(join(clone, '.ci'), { recursive: true });
  cpSync(fileURLToPath(new URL('../../.ci/run', import.meta.url)), join(clone, '.ci/run'));
  executable('stubs/npm', stub(['run\\ test:all) echo "10 passed, 0 failed, 1 skipped" ;;']));
  executable('stubs/python', stub(['*) echo "2 passed, 0 failed" ;;']));
  executable('test/python/hub_roundtrip.sh', ['echo "2 passed, 0 failed"']);
  executable('test/python/s3_store.sh', ['echo "3 passed, 0 failed"']);
  executable('test/python/venv.sh', [
    ...(coreAi ? [] : ['[[ "$1" != *coreai* ]] || exit 1']),
    `echo ${join(clone, 'stubs/python')}`,
  ]);
  executable('node_modules/.bin/node', []);
  executable('scripts/find-browser.sh', browser ? ['echo chromium'] : ['exit 1']);
  executable('scripts/find-redis.sh', redis ? ['echo redis-server'] : ['exit 1']);
  if (shared) mkdirSync(join(beside, 'shared/goldens'), { recursive: true });

  const { status, stdout } = spawnSync(join(clone, '.ci/run'), {
    encoding: 'utf8',
    env: { ...process.env, PATH: [join(clone, 'stubs'), process.env.PATH].join(delimiter) },
  });
  return { status, stdout, lastLine: stdout.trimEnd().split('\n').at(-1) };
}

test('a run that goes well adds the tests, the checks in Python and the other stages up', () => {
  const { status, lastLine } = run();
  expect({ status, lastLine }).toEqual({ status: 0, lastLine: '53 passed, 0 failed' }); // 10 tests, 12 × 2 + 3 checks, 16 stages
});

test('a stage that fails fails the run, and those that do not need it still run', () => {
  const { status, stdout, lastLine } = run({ 'run -s lint': 'echo "bad style"; exit 1' });
  expect({ status, lastLine }).toEqual({ status: 1, lastLine: '52 passed, 1 failed' });
  expect(stdout).toContain('bad style');
});

test('failed tests are counted by themselves', () => {
  const { status, lastLine } = run({ 'run test:all': 'echo "7 passed, 3 failed"; exit 1' });
  expect({ status, lastLine }).toEqual({ status: 1, lastLine: '50 passed, 3 failed' });
});

test('failures that a stage counted count even where it forgot its exit code, and the reverse', () => {
  expect(run({ '*/check_onnx_test.py': 'echo "1 passed, 1 failed"' })).toMatchObject({ status: 1 });
  const { status, lastLine } = run({ 'run test:all': 'echo "10 passed, 0 failed"; exit 1' });
  expect({ status, lastLine }).toEqual({ status: 1, lastLine: '53 passed, 1 failed' });
});

test('what builds on a failed stage is left out, and said to be', () => {
  const { status, stdout, lastLine } = run({ 'run demo': 'exit 1' });
  expect({ status, lastLine }).toEqual({ status: 1, lastLine: '47 passed, 1 failed' });
  expect(stdout).toContain('left out: onnx-demo (demo failed)');
});

test('a command in the middle of a stage that fails ends the stage', () => {
  const { status, stdout } = run({ 'run -s sdconvert *': 'exit 2' });
  expect(status).toBe(1);
  expect(stdout).toMatch(/^optimum .* 0 passed, 1 failed$/m);
});

test('where the recorded numbers are not beside the clone, a line says so', () => {
  expect(run().stdout).toContain('left out: recorded (no ../shared/goldens beside the clone');
  expect(run({}, { shared: true }).stdout).not.toContain('left out');
});

test('where there is no Chromium, a line says so', () => {
  const { status, stdout, lastLine } = run({}, { browser: false });
  expect({ status, lastLine }).toEqual({ status: 0, lastLine: '49 passed, 0 failed' });
  expect(stdout).toContain('left out: page (no Chromium, and none can be installed here)');
});

test('where the Core AI runtime does not install, a line says so', () => {
  const { status, stdout, lastLine } = run({}, { coreAi: false });
  expect({ status, lastLine }).toEqual({ status: 0, lastLine: '49 passed, 0 failed' });
  expect(stdout).toContain("left out: coreai, coreai-draws (Apple's coreai-core does not install here");
});

test('where there is no Redis, a line says so', () => {
  const { status, stdout, lastLine } = run({}, { redis: false });
  expect({ status, lastLine }).toEqual({ status: 0, lastLine: '52 passed, 0 failed' });
  expect(stdout).toContain('left out: queue (no Redis, and none can be installed here)');
});
