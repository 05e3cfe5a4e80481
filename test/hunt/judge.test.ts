import { expect, test, vi } from 'vitest';
import { type Files, type Format, mutated } from '../../hunt/format.ts';
import { huntFormat, type Stretch } from '../../hunt/hunt-format.ts';
import { hardLimits, judge } from '../../hunt/judge.ts';
import { Random } from '../../hunt/random.ts';
import { limitsOf } from '../../hunt/rows.ts';
import { FileFormatError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const files: Files = new Map([['a/b', Uint8Array.of(1, 2, 3)]]);

const judged = (read: () => unknown) => judge({ read: async () => read() }, files, at('input'), hardLimits);

test('a result and a user’s error are right; everything else is a finding', async () => {
  expect(await judged(() => 1)).toMatchObject({ finding: undefined, refusal: undefined });
  const refusing = () => {
    throw new FileFormatError({ problem: 'a is not b.' });
  };
  expect(await judged(refusing)).toMatchObject({ finding: undefined, refusal: 'a is not b.' });
  const faults: (() => unknown)[] = [
    () => {
      throw new TypeError('x is not a function');
    },
    () => {
      throw new RangeError('Maximum call stack size exceeded');
    },
    () => {
      throw new FileFormatError({ problem: 'undefined is not a name.' });
    },
  ];
  for (const fault of faults) expect((await judged(fault)).finding).toBeDefined();
});

test('what takes too long or too much is a finding', async () => {
  const slow = () => {
    for (const end = process.cpuUsage().user + 1.2e6; process.cpuUsage().user < end; );
  };
  expect((await judged(slow)).finding).toMatch(/ms, and 1000 are allowed/);
  const large = () => new Uint8Array(150e6).fill(1);
  expect((await judged(large)).finding).toMatch(/MB more, and 64 are allowed/);
});

test('limits follow what was seen, and never exceed what any input may cost', () => {
  const row = { format: 'PNG', inputs: 1, largest_mb: 1, refused: 1, accepted: 0, findings: 0 };
  expect(limitsOf('PNG', [{ ...row, slowest_ms: 70 }]).milliseconds).toBe(700);
  expect(limitsOf('PNG', [{ ...row, slowest_ms: 700 }])).toEqual(hardLimits);
  expect(limitsOf('PNG', []).milliseconds).toBeLessThanOrEqual(1000);
});

test('the same seed makes the same input', () => {
  const format: Format = {
    name: 'x',
    seeds: async () => [files],
    parts: [{ files: /./, mutators: [(bytes, random) => bytes.map(() => random.below(256))] }],
    read: async () => {},
  };
  const one = (seed: string) => [...(mutated(format, files, new Random(seed)).get('a/b') ?? [])];
  expect(one('1')).toEqual(one('1'));
  expect(one('1')).not.toEqual(one('2'));
});

const stretch = (): Stretch => ({
  ...{ seed: '1', from: 0, inputs: 200, until: Date.now() + 60_000, limits: hardLimits },
  ...{ folder: at('hunt'), findings: at('findings') },
});

test('a fault that comes once is found, though the input is read well the second time', async () => {
  let reads = 0;
  const format: Format = {
    name: 'x',
    seeds: async () => [files],
    parts: [{ files: /./, mutators: [(bytes) => bytes] }],
    async read() {
      if (++reads === 2) throw new TypeError('x is not a function');
    },
  };
  const { findings } = await huntFormat(format, { ...stretch(), inputs: 3 });
  expect(findings.map(({ what }) => what.split(':', 1)[0])).toEqual(['TypeError']);
});

test('a fault in a reader is found: one careless line, and the hunt fails', async () => {
  const { safetensors } = await import('../../hunt/formats/weights.ts');
  expect((await huntFormat(safetensors, stretch())).findings).toEqual([]);
  vi.resetModules();
  vi.doMock('../../src/io/error-text.ts', async (original) => ({
    ...(await original<typeof import('../../src/io/error-text.ts')>()),
    shown(value: unknown) {
      throw new TypeError(`${typeof value} cannot be shown`);
    },
  }));
  const faulty = await import('../../hunt/formats/weights.ts');
  const again = await import('../../hunt/hunt-format.ts');
  const { findings } = await again.huntFormat(faulty.safetensors, stretch());
  expect(findings.map(({ what }) => what.split(':', 1)[0])).toContain('TypeError');
  vi.doUnmock('../../src/io/error-text.ts');
});
