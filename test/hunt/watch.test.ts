import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hardLimits } from '../../hunt/judge.ts';
import { watched } from '../../hunt/watch.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const worker = join(import.meta.dirname, 'faulty-worker.ts');

test.each([
  ['hangs', /no end after 1 s/, 1],
  ['eats', /more than 1.5 GB/, 30], // a busy machine gives it so much memory in seconds only
  ['dies', /ended with SIGKILL/, 30],
])(
  'a reader that %s is found, by its input, and the hunt goes on behind it',
  async (format, what, seconds) => {
    const stretch = {
      seed: '1',
      from: 0,
      inputs: 5,
      until: Date.now() + 50_000,
      limits: hardLimits,
      findings: at('f'),
    };
    const tally = await watched(format, stretch, { worker, seconds });
    expect(tally.findings[0]?.what).toMatch(what);
    expect(tally.findings[0]?.input).toBe(0);
    expect(tally.inputs).toBe(5);
  },
);
