import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { conversionMemory, memoryNote } from '../../../src/commands/conversion/memory.ts';
import type { ConvertOptions, ConvertRequest } from '../../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../../src/commands/convert.ts';

const options = {
  modelVersion: join(import.meta.dirname, '../../../models/sd-shapes'),
  output: 'never-written',
  dryRun: true,
} satisfies ConvertOptions;

// MB that were measured as memory.ts says: command lines at full size, and the tensors in each of their graphs.
test.each([
  ['Stable Diffusion 1.5, both targets', 173, [1500, 600, 300, 250, 2900, 700, 330, 280]],
  ['UNet of Stable Diffusion XL, Core ML', 230, [19401]],
])('%s: what was measured, within a tenth', (_, measured, tensors) => {
  const ratio = conversionMemory(tensors) / (measured * 1e6);
  expect(ratio).toBeGreaterThan(0.9);
  expect(ratio).toBeLessThan(1.1);
});

test('a dry run tells what a conversion takes, and with the check what that takes', async () => {
  const { memory } = await convertCheckpoint(options);
  expect(memory?.conversion).toBeGreaterThan(170e6);
  expect(memory?.conversion).toBeLessThan(200e6);
  expect(memory?.check).toBeUndefined();
  const checked = await convertCheckpoint({ ...options, minPsnr: 35 });
  expect(checked.memory?.conversion).toBe(memory?.conversion);
  expect(checked.memory?.check?.bytes).toBeGreaterThan(memory?.conversion ?? 0);
});

test('larger latents take more memory to check', async () => {
  const checkOf = async (sizes: ConvertRequest['sizes']) =>
    (await convertCheckpoint({ ...options, models: ['unet'], minPsnr: 35, sizes })).memory?.check?.bytes;
  const small = await checkOf({ latentHeight: 16, latentWidth: 16 });
  const large = await checkOf({ latentHeight: 64, latentWidth: 64 });
  expect(large).toBeGreaterThan(small ?? Number.POSITIVE_INFINITY);
});

test('a check that does not fit into the free memory is told before anything is written', async () => {
  const free = vi.spyOn(process, 'availableMemory').mockReturnValue(100e6);
  const notes: string[] = [];
  await convertCheckpoint(
    { ...options, models: ['text_encoder'], minPsnr: 35 },
    { onProgress: (event) => void (event.type === 'note' && notes.push(event.message)) },
  );
  free.mockRestore();
  expect(notes).toContainEqual(
    expect.stringMatching(
      /^the check of text_encoder needs about \d+\.\d MB of memory, but 100\.0 MB are free/,
    ),
  );
  expect(memoryNote({ conversion: 1e9, check: { network: 'unet', bytes: 1e9 } }, 2e9)).toBeUndefined();
  expect(memoryNote({ conversion: 1e9 }, 0)).toBeUndefined();
});
