import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { measure } from '../../benchmarks/measure.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();

function script(name: string, code: string): string {
  writeFileSync(inFolder(name), code);
  return inFolder(name);
}

const MB = 1e6;

test("a process's memory is counted at its peak, not at its end", async () => {
  const idle = await measure([script('idle.mjs', '')]);
  const full = await measure(
    [
      script(
        'full.mjs',
        'let bytes = Buffer.alloc(200e6, 1); console.log(bytes.length); bytes = undefined; gc();',
      ),
    ].flatMap((path) => ['--expose-gc', path]),
  );
  expect(full.stdout).toBe('200000000\n');
  expect(full.peakRss - idle.peakRss).toBeGreaterThan(180 * MB);
  expect(full.peakRss - idle.peakRss).toBeLessThan(220 * MB);
});

test('memory that the measuring process holds is not counted', async () => {
  const held = Buffer.alloc(300 * MB, 1);
  const { peakRss } = await measure([script('small.mjs', '')]);
  expect(peakRss).toBeLessThan(150 * MB);
  expect(held.length).toBe(300 * MB);
});

test('the CPU time of threads is counted, and waiting is not', async () => {
  const spin = 'const end = performance.now() + 300; while (performance.now() < end);';
  const thread = `import { Worker } from 'node:worker_threads'; new Worker(${JSON.stringify(spin)}, { eval: true });`;
  const [busy, waiting] = [
    await measure([script('busy.mjs', thread)]),
    await measure([script('wait.mjs', 'setTimeout(() => {}, 300);')]),
  ];
  expect(busy.user + busy.system - (waiting.user + waiting.system)).toBeGreaterThan(0.1);
  expect(waiting.wall).toBeGreaterThan(0.3);
});

// Where there is no /proc, nobody counts it.
test.runIf(process.platform === 'linux')(
  'what a process starts is counted: its memory while both are there, its CPU time when it has ended',
  async () => {
    const child =
      'const bytes = Buffer.alloc(200e6, 1); while (process.cpuUsage().user < 500e3 || !bytes.length);';
    const starts = `import { execFileSync } from 'node:child_process';
    execFileSync(process.execPath, ['-e', ${JSON.stringify(child)}]);`;
    const [idle, parent] = [
      await measure([script('idle.mjs', '')]),
      await measure([script('parent.mjs', starts)]),
    ];
    expect(parent.peakRss - idle.peakRss).toBeGreaterThan(200 * MB);
    expect(parent.user - idle.user).toBeGreaterThan(0.3);
  },
);

test('a process that fails is an error with what it said', async () => {
  const failing = measure([
    script('failing.mjs', 'console.error("no such checkpoint"); process.exitCode = 1;'),
  ]);
  await expect(failing).rejects.toThrow(/failing\.mjs failed with exit code 1:\nno such checkpoint/);
});

test('an interrupted measurement ends its process', async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 200);
  const start = performance.now();
  await expect(measure([script('endless.mjs', 'setInterval(() => {}, 1000);')], stop.signal)).rejects.toThrow(
    'aborted',
  );
  expect(performance.now() - start).toBeLessThan(10_000);
});
