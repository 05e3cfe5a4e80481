import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { noteChildPeak, peakMemory } from '../../src/io/peak-memory.ts';

const module = new URL('../../src/io/peak-memory.ts', import.meta.url).href;

test('the memory of the process that started it is none of a process’s own', () => {
  const held = Buffer.alloc(300e6, 1);
  const code = `import { peakMemory } from ${JSON.stringify(module)}; console.log(peakMemory());`;
  const args = ['--no-warnings', '--input-type=module', '--eval', code];
  const peak = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
  expect(peak).toBeGreaterThan(20e6);
  expect(peak).toBeLessThan(200e6);
  expect(held.length).toBe(300e6);
});

test('of those that computed for it one after another the largest is counted', () => {
  const before = peakMemory();
  for (const bytes of [1e9, 5e9, 2e9]) noteChildPeak(bytes);
  expect(peakMemory() - before).toBeGreaterThanOrEqual(5e9);
  expect(peakMemory() - before).toBeLessThan(6e9);
});
