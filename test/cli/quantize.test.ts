import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { buildOnnxModel } from '../../src/formats/onnx/build-model.ts';
import { writeOnnx } from '../../src/formats/onnx/write-onnx.ts';
import { smallNetwork, smallNumbers } from '../quantize/small-network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const inFolder = temporaryFolder();
const main = join(import.meta.dirname, '../../cli/main.ts');

/** Runs the command on a small network; gives what it printed and the exit code. */
async function quantize(...args: string[]) {
  const folder = inFolder('unet');
  await writeOnnx(buildOnnxModel(smallNetwork(smallNumbers()), { model: 'small' }), folder, () => {});
  return run(folder, ...args);
}

async function run(...args: string[]) {
  return promisify(execFile)(process.execPath, [main, 'quantize', ...args]).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      stdout,
      stderr,
    }),
  );
}

test('--json tells of every weight its bits, its error and its size, and what it came to', async () => {
  const { code, stdout } = await quantize('--nbits', '4', '--json', '-o', inFolder('small'));
  expect(code).toBe(0);
  const { result } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  expect(result).toMatchObject({ path: inFolder('small'), bytesBefore: expect.any(Number) });
  expect(result.bytesAfter).toBeLessThan(result.bytesBefore);
  expect(result.weights).toHaveLength(2);
  expect(result.weights[1]).toEqual({
    name: 'linear.weight',
    shape: [96, 64],
    form: expect.objectContaining({ kind: 'palette', bits: 4 }),
    bytesBefore: 12288,
    // Half a byte an element, and for each byte the two float16 numbers that it stands for.
    bytesAfter: 3072 + 1024,
    squaredError: expect.any(Number),
    optimum: expect.any(Number),
    decibels: expect.any(Number),
  });
});

test('people read which weights lost the most, and the sizes', async () => {
  const { stdout } = await quantize('--nbits', '8', '--mode', 'linear', '--quiet', '--in-place');
  expect(stdout).toContain('signal to error, dB');
  expect(stdout).toMatch(/linear\.weight +96×64 +8 +12\.3 kB +6\.4 kB/);
  expect(stdout).toContain(`2 weights in ${inFolder('unet')}: `);
});

test('options that would change nothing are refused, not ignored', async () => {
  const refused = [
    ['--recipe', 'any.json', '--mode', 'linear', '--weights', 'conv*'],
    ['--nbits', '4', '--target-size', '3MB'],
    ['--analyze', 'any.json', '--nbits', '4'],
    ['--analyze', 'any.json', '--output', 'never-written'],
  ];
  const runs = await Promise.all(refused.map((options) => run('never-read', ...options)));
  const errors = runs.map(({ stderr }) => stderr);
  expect(errors).toEqual([
    expect.stringContaining('--recipe does not take --mode, --weights.'),
    expect.stringContaining('quantize without --analyze does not take --target-size.'),
    expect.stringContaining('--analyze does not take --nbits.'),
    expect.stringContaining('--analyze without a target does not take --output.'),
  ]);
});

test('a model is never replaced without being asked to: an output or --in-place must be named, not both', async () => {
  const { code, stderr } = await quantize('--nbits', '4');
  expect(code).toBe(1);
  expect(stderr).toMatch(/--output, or pass --in-place/);
  const both = await quantize('--nbits', '4', '--in-place', '-o', inFolder('never'));
  const measured = await run(inFolder('unet'), '--analyze', inFolder('a.json'), '--target-size', '3MB');
  expect(measured.stderr).toContain('the output of the quantised model is missing.');
  expect(both.stderr).toContain('--output and --in-place exclude each other.');
});

test('names in a recipe that fit no weight are told', async () => {
  const recipe = inFolder('recipe.json');
  writeFileSync(recipe, JSON.stringify({ linear: 4, linaer: 4, 'no.such': 16 }));
  const { code, stdout, stderr } = await quantize('--recipe', recipe, '-o', inFolder('mixed'));
  expect(code).toBe(0);
  expect(stdout).toContain('1 weight in ');
  expect(stderr).toMatch(/1 of the recipe’s 3 names fit no weight of .* linaer$/m);
});

test('a request that makes no sense ends with a sentence and exit code 1', async () => {
  const { code, stderr } = await quantize('--nbits', '5');
  expect(code).toBe(1);
  expect(stderr).toContain('a palette of 5 bits is not possible.');
  expect(stderr).not.toMatch(/^ {4}at /m);
});
