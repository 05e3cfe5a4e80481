import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seedsOf } from '../../hunt/corpus.ts';
import { mutated } from '../../hunt/format.ts';
import { formats } from '../../hunt/formats/formats.ts';
import { judge } from '../../hunt/judge.ts';
import { Random } from '../../hunt/random.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sdconvert-formats-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Here it counts how reading ends, not how long it takes on a busy machine: `npm run hunt` measures. */
const any = { milliseconds: Number.POSITIVE_INFINITY, megabytes: Number.POSITIVE_INFINITY };

test.each(formats)('$name: what is not changed is read', async (format) => {
  for (const files of await seedsOf(format))
    expect(await judge(format, files, join(folder, 'intact'), any)).toMatchObject({
      finding: undefined,
      refusal: undefined,
    });
});

test.each(formats)(
  '$name: whatever stands in a file, it is read or refused in a sentence',
  async (format) => {
    const seeds = await seedsOf(format);
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (input) => {
        const random = new Random(`${format.name} ${input}`);
        const files = mutated(format, random.pick(seeds), random);
        expect((await judge(format, files, join(folder, format.name), any)).finding).toBeUndefined();
      }),
      { seed: 12, numRuns: 10 },
    );
  },
);
