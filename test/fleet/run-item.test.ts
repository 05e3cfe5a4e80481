import type { ChildProcess } from 'node:child_process';
import { expect, test, vi } from 'vitest';
import { InterruptedError } from '../../src/errors.ts';
import type { IdentifiedItem } from '../../src/fleet/item.ts';
import { runItem } from '../../src/fleet/run-item.ts';
import type { Site } from '../../src/fleet/steps.ts';

const started: ChildProcess[] = [];

vi.mock(import('../../src/io/start-process.ts'), async (original) => {
  const { startProcess, ...others } = await original();
  const noted: typeof startProcess = (script, options) => {
    const child = startProcess(script, options);
    started.push(child);
    return child;
  };
  return { ...others, startProcess: noted };
});

/** Nothing of it is looked at before the process has begun. */
const item = { name: 'an item' } as IdentifiedItem;

test('an item whose process Ctrl-C ended before it began was interrupted, and has not failed', async () => {
  const stop = new AbortController();
  const run = runItem(item, {} as Site, { signal: stop.signal });
  stop.abort();
  started.at(-1)?.kill('SIGINT');
  await expect(run).rejects.toThrow(InterruptedError);
});

test('one that ends by itself has failed', async () => {
  const run = runItem(item, {} as Site, {});
  started.at(-1)?.kill('SIGKILL');
  await expect(run).rejects.toThrow('the process that converted an item ended with SIGKILL.');
});
