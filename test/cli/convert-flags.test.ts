import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const checkpoint = join(root, 'test/fixtures/sd15-wide-f16');
const controlnet = join(root, 'test/fixtures/controlnet-sd15');

/** Plans a conversion; gives the networks it would write, its notes and its error. */
async function plan(...args: string[]) {
  const command = [join(root, 'cli/main.ts'), '--model-version', checkpoint, '--dry-run', '--json', ...args];
  const { stdout } = await promisify(execFile)(process.execPath, command).catch((error) => error);
  const lines: Record<string, unknown>[] = String(stdout)
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const result = lines.find((line) => 'result' in line)?.result as
    | { artifacts: { model: string }[] }
    | undefined;
  return {
    models: result && [...new Set(result.artifacts.map(({ model }) => model))],
    notes: lines.filter(({ event }) => event === 'note').map(({ message }) => message),
    last: lines.at(-1),
  };
}

test.each([
  [[], ['controlnet']],
  [['--convert-vae-decoder'], ['vae_decoder', 'controlnet']],
  [['--unet-support-controlnet'], ['control-unet', 'controlnet']],
  [
    ['--no-convert-unet', '--no-convert-text-encoder'],
    ['vae_decoder', 'vae_encoder', 'controlnet'],
  ],
])('a ControlNet is converted alone unless other models are named: %j', async (more, models) => {
  const planned = await plan('--convert-controlnet', controlnet, ...more);
  expect(planned.models?.toSorted()).toEqual(models.toSorted());
});

test('what Core ML has instead of float16-weights is said once', async () => {
  const message =
    '--precision float16-weights is float16 for Core ML, which computes in float16 wherever weights are stored so.';
  const { notes } = await plan(
    '--precision',
    'float16-weights',
    '--convert-vae-encoder',
    '--convert-vae-decoder',
  );
  expect(notes.filter((note) => note === message)).toHaveLength(1);
  const onnx = await plan('--precision', 'float16-weights', '--convert-vae-encoder', '--target', 'onnx');
  expect(onnx.notes).not.toContain(message);
});

test('a revision of what is on the disk is refused, not ignored', async () => {
  const { last } = await plan('--revision', 'fp16');
  expect(JSON.stringify(last)).toContain(
    `--revision fp16 names a version on the Hub, and ${checkpoint} is on this disk.`,
  );
});

test('an option that would change nothing is refused before anything is read', async () => {
  const { last, models } = await plan('--max-chunk-size', '1MB');
  expect(JSON.stringify(last)).toContain('--max-chunk-size changes nothing without --chunk-unet.');
  expect(models).toBeUndefined();
});
