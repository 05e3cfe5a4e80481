import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { fullSizeComponents, withWidths } from '../../benchmarks/full-size.ts';
import { makeFullSizeCheckpoint } from '../../benchmarks/make-full-size-checkpoint.ts';
import { measure } from '../../benchmarks/measure.ts';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import type { TargetName } from '../../src/formats/format.ts';
import { openArtifact } from '../../src/formats/open.ts';
import { fileTraffic } from '../../src/io/traffic.ts';
import { streamIn } from '../../src/weights/tensor-stream.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/**
 * The costs of a conversion that do not depend on the machine: bytes read and written, the peak of memory, the operations of the
 * models. Never time.
 */

vi.mock('../../src/weights/tensor-stream.ts', { spy: true });

const at = temporaryFolder();
const checkpoint = (): string => at('checkpoint');

/** The UNet of Stable Diffusion 1.5 with a fifth of its channels, random: 138 MB of float32. */
beforeAll(async () => {
  const { unet } = withWidths(fullSizeComponents('sd15'), 0.2);
  if (!unet) throw new Error('no UNet');
  await makeFullSizeCheckpoint(checkpoint(), 'f32', { unet });
  expect(bytesIn(checkpoint())).toBeGreaterThan(100e6);
});

beforeEach(() => void vi.mocked(streamIn).mockRestore());

const main = join(import.meta.dirname, '../../cli/main.ts');

const options = {
  models: ['unet'],
  bundle: false,
} satisfies Partial<ConvertOptions>;

/** Bytes of files below a folder. */
function bytesIn(folder: string): number {
  const files = globSync('**', { cwd: folder }).map((name) => statSync(join(folder, name)));
  return files.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0);
}

/** Bytes read per byte of the checkpoint and bytes written per byte of the output. */
interface Cost {
  readonly read: number;
  readonly written: number;
}

async function costOf(name: string, more: Partial<ConvertOptions>): Promise<Cost> {
  const before = fileTraffic();
  await convertCheckpoint({ ...options, ...more, modelVersion: checkpoint(), output: at(name) });
  const after = fileTraffic();
  return {
    read: (after.read - before.read) / bytesIn(checkpoint()),
    written: (after.written - before.written) / bytesIn(at(name)),
  };
}

/** What a conversion may read: the weights `passes` times, and the files once for their SHA-256; 5 % for everything else. */
function expectCost({ read, written }: Cost, passes: number): void {
  expect(read).toBeGreaterThan(1 + passes - 0.01); // else something is not counted
  expect(read).toBeLessThan(1 + passes + 0.05);
  expect(written).toBeGreaterThan(0.99);
  expect(written).toBeLessThan(1.05);
}

describe('every weight is read once, and once more where its numbers are counted first', () => {
  test.each<[string, number, Partial<ConvertOptions>]>([
    ['ONNX', 1, { targets: ['onnx'] }],
    ['Core ML', 1, { targets: ['coreml'] }],
    ['both targets, in chunks', 1, { maxChunkBytes: 4e7 }],
    ['ONNX in float32', 1, { targets: ['onnx'], precision: 'float32' }],
    ['palettes of 6 bits', 2, { targets: ['coreml'], quantization: { bits: 6 } }],
    ['8 bits with scales', 2, { targets: ['onnx'], quantization: { bits: 8, mode: 'linear' } }],
  ])('%s', async (name, passes, more) => {
    expectCost(await costOf(name, more), passes);
  });
});

describe.each<TargetName>(['onnx', 'coreml'])('clients are given %s models that are not read', (target) => {
  const options = { bundle: true, targets: [target] } satisfies Partial<ConvertOptions>;
  // Configs, tokenizers and programs are read several times, 11 MB in all; the models have half of the checkpoint's bytes.
  const small = 0.15;

  test('as they are written', async () => {
    const { read } = await costOf(`given ${target}`, options);
    expect(read).toBeGreaterThan(1.99);
    expect(read).toBeLessThan(2 + small);
  });

  test('when they are there already, and another process wrote them: only the checkpoint is hashed', async () => {
    const args = ['--convert-unet', '--target', target, '-o', at(`given ${target}`)];
    const { read } = await measure([main, 'convert', '--quiet', '--model-version', checkpoint(), ...args]);
    expect(read / bytesIn(checkpoint())).toBeGreaterThan(0.99);
    expect(read / bytesIn(checkpoint())).toBeLessThan(1 + small);
  });
});

test('compiling them again reads no weights that are as on record', async () => {
  const { read } = await measure([main, 'bundle', '--quiet', at('given coreml')]);
  expect(read).toBeGreaterThan(0);
  expect(read / bytesIn(checkpoint())).toBeLessThan(0.15);
});

test('this notices when a weight is read twice', async () => {
  // Without knowing which weights are the same, each target streams its own.
  vi.mocked(streamIn).mockImplementation((weight, dtype) => () => weight.stream(dtype));
  const cost = await costOf('twice', {});
  expect(() => expectCost(cost, 1)).toThrow();
  expectCost(cost, 2);
});

test('a conversion takes no more than 250 MB', async () => {
  const args = [
    'convert',
    '--quiet',
    '--model-version',
    checkpoint(),
    '--convert-unet',
    '--no-bundle',
    '-o',
    at('rss'),
  ];
  const { peakRss, read, written } = await measure([main, ...args]);
  expect(peakRss).toBeLessThan(250e6);
  // The counts of a process of its own are those of this one.
  expectCost({ read: read / bytesIn(checkpoint()), written: written / bytesIn(at('rss')) }, 1);
});

test('the models have as many operations as they had', async () => {
  await convertCheckpoint({ ...options, modelVersion: checkpoint(), output: at('operations') });
  const counts = await Promise.all(
    ['onnx/unet', 'Stable_Diffusion_version_checkpoint_unet.mlpackage'].map(async (path) => {
      const artifact = await openArtifact(at('operations', path));
      const { operations } = await artifact.facts().finally(() => artifact.close());
      return operations.length;
    }),
  );
  expect(counts).toMatchInlineSnapshot(`
    [
      1191,
      2525,
    ]
  `);
});
