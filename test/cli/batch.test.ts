import { execFile, execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventSchema, resultSchemas } from '../../scripts/docs/json-schemas.ts';
import { filesBelow } from '../support/hub-fixture.ts';
import { makeSeededCheckpoint } from '../support/seeded-checkpoint.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const main = join(root, 'cli/main.ts');
const at = temporaryFolder();
const timeout = 120_000;

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function sdconvert(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: at() }, (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    );
  });
}

const options = { targets: ['onnx'], models: ['vae_decoder'] };

beforeAll(async () => {
  await makeSeededCheckpoint(at('seed-1'), 1);
  const variants = { float16: { floor: 40 }, tiny: { bits: 1, floor: 70 } };
  writeFileSync(
    at('low.json'),
    JSON.stringify({
      output: 'low',
      options: { ...options, models: ['unet'] },
      variants,
      sources: ['seed-1'],
    }),
  );
  writeFileSync(at('good.json'), JSON.stringify({ output: 'good', options, sources: ['seed-1'] }));
});

test('--init writes an example that says what to do next, and is never written over', {
  timeout,
}, async () => {
  expect(await sdconvert('batch', '--init')).toMatchObject({
    code: 0,
    stdout: 'Written to batch.yaml. Edit it, then run: sdconvert batch batch.yaml\n',
  });
  const again = await sdconvert('batch', '--init');
  expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/batch\.yaml already exists/) });
  const none = await sdconvert('batch');
  expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/no manifest is given\.\n.*--init/) });
});

test('the log has a line for each item, the table a row, and a missed floor is exit code 1', {
  timeout,
}, async () => {
  const { code, stdout, stderr } = await sdconvert('batch', 'low.json');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^seed-1\/float16 {2}\d+\.\d kB, [\d.]+ dB {2}\(\d+\.\d s\)$/m);
  expect(stderr).toMatch(/^batch {6}2 items, 1 below the floor {2}\(/m);
  const rows = stdout.split('\n').map((line) => line.split(/ {2,}/));
  expect(rows[0]).toEqual(['item', 'seconds', 'size', 'dB', 'floor', 'verdict']);
  expect(rows[1]).toEqual([
    'seed-1/float16',
    expect.any(String),
    expect.any(String),
    expect.any(String),
    '40',
    'pass',
  ]);
  expect(rows[2]?.at(-1)).toBe('BELOW THE FLOOR');
  expect(stdout).toContain('1 of 2 items are good; 1 below the floor.\n');
});

test('--json is a line for each item, as the schema says', { timeout }, async () => {
  const { code, stdout } = await sdconvert('batch', 'good.json', '--json', '--jobs', '1');
  const results: unknown[] = [];
  for (const line of stdout.trim().split('\n')) {
    const parsed = JSON.parse(line);
    if (parsed.event === 'result') results.push(resultSchemas.batch.parse(parsed.result));
    else eventSchema.parse(parsed);
  }
  expect({ code, results }).toMatchObject({ code: 0, results: [{ item: 'seed-1', verdict: 'not checked' }] });
  expect((await sdconvert('batch', 'good.json')).stdout).toMatch(/\n1 item is done\.\n$/);
});

const hasPython = (() => {
  try {
    return execFileSync('python3', ['-c', 'import pty']).length === 0;
  } catch {
    return false; // Windows has no pseudo-terminals of this kind
  }
})();

describe.skipIf(!hasPython)('in a terminal', () => {
  /** What a person sees in a window of 80 columns, who presses Ctrl-C when this text is shown. */
  function shown(interrupt: string | undefined, ...args: readonly string[]): { code: number; shown: string } {
    const pressed = interrupt === undefined ? [] : ['--interrupt', interrupt];
    const terminal = [join(root, 'test/support/terminal.py'), '80', ...pressed];
    const command = ['--', process.execPath, main, ...args];
    return JSON.parse(
      execFileSync('python3', [...terminal, ...command], { encoding: 'utf8', cwd: at(), maxBuffer: 1 << 26 }),
    );
  }

  test('progress stays in 80 columns', { timeout }, () => {
    writeFileSync(at('wide.json'), JSON.stringify({ output: 'wide', options, sources: ['seed-1'] }));
    const { code, shown: text } = shown(undefined, 'batch', 'wide.json');
    expect(code).toBe(0);
    const rows = stripVTControlCharacters(text)
      .split(/[\r\n]+/)
      .filter((row) => row.includes('batch'));
    expect(rows.some((row) => row.includes('seed-1'))).toBe(true);
    expect(Math.max(...rows.map((row) => row.trimEnd().length))).toBeLessThanOrEqual(80);
  });

  test('Ctrl-C ends with 130, one sentence and nothing half-written', { timeout }, () => {
    const whole = { targets: ['onnx'], floor: 40 };
    writeFileSync(
      at('stopped.json'),
      JSON.stringify({ output: 'stopped', options: whole, sources: ['seed-1'] }),
    );
    const { code, shown: text } = shown('seed-1: validate', 'batch', 'stopped.json');
    expect(code).toBe(130);
    expect(stripVTControlCharacters(text)).toContain(
      'InterruptedError: interrupted; nothing half-written was left behind.',
    );
    expect(filesBelow(at('stopped')).filter((path) => path.includes('.sdc-'))).toEqual([]);
  });
});

test('an item whose process is killed has failed, and says so', { timeout }, async () => {
  const whole = { targets: ['onnx'], floor: 40 };
  writeFileSync(at('killed.json'), JSON.stringify({ output: 'killed', options: whole, sources: ['seed-1'] }));
  const batch = spawn(process.execPath, [main, 'batch', 'killed.json', '--json'], { cwd: at() });
  let printed = '';
  batch.stdout.on('data', (text) => {
    const wasChecking = printed.includes('validate');
    printed += text;
    if (!wasChecking && printed.includes('validate'))
      for (const child of childrenOf(batch.pid ?? 0)) process.kill(child, 'SIGKILL');
  });
  const code = await new Promise((resolve) => batch.once('close', resolve));
  const last = JSON.parse(printed.trim().split('\n').at(-1) ?? '');
  expect(code).toBe(1);
  expect(last.result).toMatchObject({
    verdict: 'failed',
    error: { problem: 'the process that converted seed-1 ended with SIGKILL.' },
  });
});

test('processes of items end with the one that started them', { timeout }, async () => {
  const whole = { targets: ['onnx'], floor: 40 };
  writeFileSync(at('orphan.json'), JSON.stringify({ output: 'orphan', options: whole, sources: ['seed-1'] }));
  const parent = spawn(process.execPath, [main, 'batch', 'orphan.json', '--json'], { cwd: at() });
  const pid = parent.pid ?? 0;
  await new Promise<void>((resolve) => {
    parent.stdout.on('data', (text) => /seed-1: (write|validate)/.test(String(text)) && resolve());
  });
  const children = childrenOf(pid);
  expect(children.filter(isAlive)).not.toEqual([]);
  parent.kill('SIGKILL');
  await expect.poll(() => children.filter(isAlive), { timeout: 30_000 }).toEqual([]);
});

function childrenOf(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return table
    .trim()
    .split('\n')
    .map((row) => row.trim().split(/\s+/).map(Number))
    .flatMap(([own, parent]) => (parent === pid && own !== undefined ? [own] : []));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
