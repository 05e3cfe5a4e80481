import { spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { commandNames, commands } from '../../cli/commands.ts';
import { createReport } from '../../cli/report.ts';
import { runCommandLine } from '../../cli/run-command-line.ts';
import { InterruptedError } from '../../src/errors.ts';
import { version } from '../../src/version.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const model = join(root, 'models/sd-shapes');
const temporary = temporaryFolder();

test('the version is the package’s', async () => {
  expect(version).toBe(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version);
  expect((await sdconvert('--version')).stdout.trim()).toBe(version);
});

test.each(commandNames)('%s explains itself with an example', async (name) => {
  const { code, stdout } = await sdconvert(name, '--help');
  expect(code).toBe(0);
  expect(stdout).toContain('Examples:');
  expect(stdout).toContain(name === 'convert' ? 'sdconvert --model-version' : `sdconvert ${name}`);
});

/** What people get wrong, and the sentence they get: exit code 1, one problem, no stack. */
const mistakes: readonly [title: string, args: () => string[], sentence: string][] = [
  ['an empty output', () => ['convert', '--model-version', model, '-o', ''], '--output is empty.'],
  ['an empty argument', () => ['inspect', ''], '--path is empty.'],
  [
    'an empty one of several',
    () => ['convert', '--model-version', model, '--lora', 'a.safetensors', ''],
    '--lora is empty.',
  ],
  [
    'a switch with a value, which would be off',
    () => ['convert', '--model-version', model, '--dry-run=yes'],
    '--dry-run is on or off, and takes no value such as yes.',
  ],
  [
    'a value that is switched off',
    () => ['convert', '--model-version', model, '--no-output'],
    '--no-output turns nothing off: --output takes a value.',
  ],
  [
    'an empty number, which would be 0',
    () => ['validate', model, '--reference', model, '--min-psnr='],
    '--min-psnr is empty.',
  ],
  [
    'an option with a dot in it',
    () => ['inspect', model, '--json.x', '1'],
    'there is no option --json.x here.',
  ],
  [
    'outputs and a record in one file',
    () => ['run', 'unet', '--inputs', 'in', '--outputs', 'out.st', '--record', './out.st'],
    '--outputs and --record both name out.st: one would replace the other.',
  ],
  [
    'outputs in the place of the inputs',
    () => ['run', 'unet', '--inputs', 'in.st', '--outputs', './in.st'],
    '--outputs and --inputs both name in.st: the inputs would be gone.',
  ],
  [
    'schedulers to compare, of which there is none',
    () => ['generate', '-i', 'out', '--prompt', 'a', '--compare-schedulers', ','],
    '--compare-schedulers names no scheduler.',
  ],
  ['a name that no disk can hold', () => ['inspect', 'n'.repeat(300)], 'is too long for a name.'],
  ['a command that does not exist', () => ['conver'], 'there is no command called conver.'],
  [
    'an option that does not exist',
    () => ['--model-version', model, '--chunk'],
    'there is no option --chunk here.',
  ],
  ['an option that is needed', () => ['--dry-run'], 'no checkpoint to convert is given.'],
  ['a command without its argument', () => ['inspect'], 'an argument is missing after the command.'],
  [
    'a value that is no choice',
    () => ['--model-version', model, '--precision', 'int9'],
    '--precision does not take "int9": choose from "float32", "float16", "float16-weights"',
  ],
  [
    'a choice in another case',
    () => ['--model-version', model, '--attention', 'original'],
    '--attention does not take "original": did you mean "ORIGINAL"? Choose from "ORIGINAL", "SPLIT_EINSUM"',
  ],
  [
    'a target in another case',
    () => ['--model-version', model, '--target', 'onnx,CoreAI'],
    'Did you mean coreai? Choose from onnx, coreml, coreai.',
  ],
  [
    'an option given twice',
    () => ['--model-version', model, '--model-version', 'other'],
    `--model-version takes one value, but is given 2: ${model}, other.`,
  ],
  [
    'a number that is none',
    () => ['--model-version', model, '--latent-h', 'abc'],
    '--latent-h takes a number, but is given something else.',
  ],
  [
    'a number of tokens that is none',
    () => ['--model-version', model, '--text-token-sequence-length', '0'],
    '--text-token-sequence-length 0 is not a whole number of at least 1.',
  ],
  [
    'a floor that is no number',
    () => ['validate', model, '--reference', model, '--min-psnr', 'abc'],
    '--min-psnr takes a number',
  ],
  [
    'a guidance scale that is no number',
    () => ['generate', '-i', model, '--prompt', 'a', '--guidance-scale', 'abc'],
    '--guidance-scale takes a number',
  ],
  [
    'a scale for no ControlNet',
    () => ['generate', '-i', model, '--prompt', 'a', '--controlnet-scale', '2'],
    '--controlnet-scale changes nothing without --controlnet.',
  ],
  [
    'a ControlNet without a picture',
    () => ['generate', '-i', model, '--prompt', 'a', '--controlnet', 'canny'],
    '--controlnet-inputs has 0 values for 1 ControlNets.',
  ],
  [
    'a LoRA when it is too late',
    () => ['generate', '-i', model, '--prompt', 'a', '--lora', 'style.safetensors'],
    'a LoRA is merged when a checkpoint is converted, not when pictures are generated.',
  ],
  [
    'a tokenizer that is not there',
    () => ['bundle', packages(), '--tokenizer', '/no/such/tokenizer'],
    '/no/such/tokenizer does not exist.',
  ],
  [
    'a path that does not exist',
    () => ['--model-version', '/no/such/model'],
    '/no/such/model does not exist.',
  ],
  [
    'a folder to bundle that does not exist',
    () => ['bundle', '/no/such/out'],
    '/no/such/out does not exist.',
  ],
  [
    'a compiled model that no app would take for one',
    () => ['compile', 'Unet.mlpackage', '-o', 'out'],
    'out is not the name of a compiled model.',
  ],
  [
    'a folder to report on that does not exist',
    () => ['report', '/no/such/out'],
    '/no/such/out does not exist.',
  ],
  [
    'a folder that is no checkpoint',
    () => ['--model-version', join(root, 'docs')],
    'is not a diffusers checkpoint: it has no model_index.json.',
  ],
  ['a file that is no checkpoint', () => ['--model-version', join(root, 'README.md')], 'README.md'],
  [
    'a Git-LFS pointer',
    () => [
      '--model-version',
      weightsOf('version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 335\n'),
    ],
    'Git-LFS pointer',
  ],
  [
    'a web page',
    () => ['--model-version', weightsOf('<!DOCTYPE html><html><body>404</body></html>')],
    'is a web page, not a weight file.',
  ],
  [
    'latents the UNet cannot halve',
    () => ['--model-version', model, '--latent-h', '12', '--dry-run'],
    'it must be a multiple of 8.',
  ],
  [
    'chunks that cannot be that small',
    () => ['--model-version', model, '--chunk-unet', '--max-chunk-size', '10kB', '--dry-run'],
    'no chunks can stay under 10.0 kB',
  ],
  [
    'a size that is none',
    () => ['--model-version', model, '--chunk-unet', '--max-chunk-size', 'big'],
    '--max-chunk-size big is not a size.',
  ],
  [
    'a target that is none',
    () => ['--model-version', model, '--target', 'tflite'],
    '--target tflite is not a target.',
  ],
  ['a reference that is not there', () => ['validate', model, '--reference', '/no/such/thing'], 'no model'],
  [
    'a scheduler that does not exist',
    () => ['generate', '--prompt', 'a', '-i', model, '--scheduler', 'dpm9'],
    'there is no scheduler called dpm9.',
  ],
];

test.each(mistakes)('%s: one clear sentence, exit code 1', async (_, args, sentence) => {
  const { code, stderr, stdout } = await sdconvert(
    ...args(),
    ...(args()[0]?.startsWith('-') ? ['-o', temporary('mistake')] : []),
  );
  expect(stderr).toContain(sentence);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(stdout).toBe('');
  expect(code).toBe(1);
  expect(existsSync(temporary('mistake'))).toBe(false);
});

test.skipIf(process.platform === 'win32')(
  'a current folder that was removed: one clear sentence, exit code 1',
  () => {
    mkdirSync(temporary('gone'), { recursive: true });
    const script = 'rmdir ../gone; "$0" --no-warnings "$1" inspect /';
    const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath, join(root, 'cli/main.ts')], {
      cwd: temporary('gone'),
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain('the current folder does not exist any more.');
  },
);

test('a current folder that is removed while a command runs is no defect', async () => {
  const gone = Object.assign(new Error('ENOENT: uv_cwd'), { code: 'ENOENT', syscall: 'uv_cwd' });
  const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  const here = process.cwd();
  const cwd = vi
    .spyOn(process, 'cwd')
    .mockReturnValueOnce(here)
    .mockImplementation(() => {
      throw gone;
    });
  const code = await runCommandLine(['inspect', 'x'], new AbortController().signal);
  cwd.mockRestore();
  const said = told.mock.calls.join('');
  told.mockRestore();
  expect(code).toBe(1);
  expect(said).toContain('the current folder does not exist any more.');
});

test('a name that would steer the terminal is shown as its escapes', async () => {
  const { code, stderr } = await sdconvert('inspect', 'a\u001b[31mred\u0007\u009b');
  expect(code).toBe(1);
  expect(stderr).toContain('NotFoundError: a\\u001b[31mred\\u0007\\u009b does not exist.');
});

test('names in a result are shown so, too', async () => {
  const path = temporary('\u001b]0;title\u0007\u202e.safetensors');
  await writeSafetensors(path, [{ name: 'a', dtype: 'f32', shape: [1], data: new Float32Array(1) }]);
  const { code, stdout } = await sdconvert('inspect', path);
  expect(code).toBe(0);
  expect(stdout).toContain('\\u001b]0;title\\u0007\\u202e.safetensors');
  expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Bidi_Control}]/u);
});

test('--json prints events and the result as JSON lines, and nothing else, on stdout', async () => {
  const { code, stdout, stderr } = await sdconvert(
    '--model-version',
    model,
    '--dry-run',
    '--json',
    '-o',
    temporary('json'),
  );
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(code).toBe(0);
  expect(stderr).toBe('');
  expect(events.filter(({ state }) => state === 'finished').map(({ stage }) => stage)).toEqual([
    'open',
    'build',
    'precision',
    'plan',
    'dry-run',
  ]);
  expect(events.at(-1)).toMatchObject({ event: 'result', result: { artifacts: expect.any(Array) } });
});

test('--json gives an error as JSON, too', async () => {
  const { code, stdout } = await sdconvert('--model-version', '/no/such/model', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
    event: 'error',
    name: 'NotFoundError',
    problem: '/no/such/model does not exist.',
  });
});

test('Ctrl-C ends it with 130 and leaves nothing under a final name, nor anything half-written', async () => {
  const output = temporary('interrupted');
  const { code, stdout } = await sdconvertInterrupted(
    '"stage":"write","state":"started"',
    '--model-version',
    model,
    '--json',
    '-o',
    output,
  );
  expect(stdout).toContain('"name":"InterruptedError"');
  expect(code).toBe(130);
  const left = existsSync(output) ? readdirSync(output, { recursive: true, encoding: 'utf8' }) : [];
  expect(left.filter((path) => path.includes('.sdc-'))).toEqual([]);
  // Whatever was complete by then may stay.
  const models = left.filter((path) => /^onnx\/\w+$/.test(path));
  expect(models.filter((path) => !left.includes(`${path}/model.onnx`))).toEqual([]);
});

test('a target that is named twice is written once', async () => {
  const { code, stdout } = await sdconvert(
    ...['--model-version', model, '--target', 'onnx,onnx', '--dry-run', '-o', temporary('twice')],
  );
  expect(stdout.match(/onnx\/unet {2}/g)).toHaveLength(1);
  expect(code).toBe(0);
});

test.each(['inspect', 'compile'])('Ctrl-C ends %s, too', async (name) => {
  const command = await commands.find((each) => each.name === name)?.load();
  const argv = { path: model, package: join(packages(), 'x_unet.mlpackage'), compiler: 'own', force: false };
  const interrupted = createReport({ json: false, quiet: true }, AbortSignal.abort());
  await expect(command?.run(argv, interrupted)).rejects.toThrow(InterruptedError);
});

test.skipIf(process.platform === 'win32')('nobody opens an inspector in a running process', async () => {
  const args = ['convert', '--model-version', model, '--dry-run', '--json', '-o', temporary('dry')];
  const child = spawn(process.execPath, [join(root, 'cli/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  child.stdout.once('data', () => child.kill('SIGUSR1'));
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  expect(stderr).toBe('');
});

test('a reader that stops reading is no failure', async () => {
  const child = spawn(process.execPath, [join(root, 'cli/main.ts'), 'inspect', model, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test.runIf(existsSync('/dev/full'))(
  'a result that cannot be written is one sentence, exit code 1',
  async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [join(root, 'cli/main.ts'), 'inspect', model], {
      stdio: ['ignore', full, 'pipe'],
    });
    let stderr = '';
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    closeSync(full);
    expect(stderr).toMatch(/^The result cannot be written to stdout: ENOSPC.*\.\n$/);
    expect(code).toBe(1);
  },
);

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function sdconvert(...args: string[]): Promise<Ended> {
  return run(args, () => false);
}

/** Sends SIGINT as soon as `mark` appears on stdout. */
function sdconvertInterrupted(mark: string, ...args: string[]): Promise<Ended> {
  return run(args, (stdout) => stdout.includes(mark));
}

function run(args: readonly string[], isTimeToStop: (stdout: string) => boolean): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'cli/main.ts'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: temporary(),
  });
  let [stdout, stderr] = ['', ''];
  let isStopped = false; // once: a second Ctrl-C ends it at once
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    if (!isStopped && isTimeToStop(stdout)) isStopped = child.kill('SIGINT');
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

/** A folder with something that is called like a package. */
function packages(): string {
  mkdirSync(temporary('packages/x_unet.mlpackage'), { recursive: true });
  return temporary('packages');
}

/** A checkpoint whose UNet's weight file holds this text. */
function weightsOf(text: string): string {
  const folder = temporary(`weights-${text.length}`);
  mkdirSync(join(folder, 'unet'), { recursive: true });
  writeFileSync(
    join(folder, 'model_index.json'),
    JSON.stringify({ _class_name: 'StableDiffusionPipeline', unet: ['diffusers', 'UNet2DConditionModel'] }),
  );
  writeFileSync(join(folder, 'unet/config.json'), '{}');
  writeFileSync(join(folder, 'unet/diffusion_pytorch_model.safetensors'), text);
  return folder;
}
