import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hideOnnxruntime } from '../support/hide-onnxruntime.ts';
import { golden } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const model = join(root, 'models/sd-shapes');
const temporary = temporaryFolder();
const elsewhere = temporaryFolder();

function manifest(): string {
  const path = elsewhere('batch.yaml');
  const items = { output: temporary('batch'), options: { floor: 40 }, sources: [model] };
  writeFileSync(path, JSON.stringify(items));
  return path;
}

/** What each command is asked: the folder is there only while tests run, so it is named then. */
const lines = {
  convert: () => ['--model-version', model, '--check-output-correctness', '-o', temporary('out')],
  validate: () => [temporary('out'), '--reference', model],
  run: () => [temporary('out'), '--inputs', golden('vae_decoder'), '--outputs', temporary('out.safetensors')],
  generate: () => ['-i', temporary('out'), '-o', temporary('pictures'), '--prompt', 'a lighthouse'],
  analyze: () => [temporary('out')],
  report: () => [temporary('out'), '--reference', model],
  web: () => [temporary('out')],
  batch: () => [manifest()],
  worker: () => ['--queue', 'redis://127.0.0.1:1'],
};

test.each(Object.entries(lines))(
  'without onnxruntime, %s says so before it begins, with the command that helps',
  (command, line) => {
    const args = [...hideOnnxruntime, join(root, 'cli/main.ts'), command, ...line(), '--quiet'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stderr).toContain('onnxruntime-node, which runs the models, is not installed.');
    expect(stderr).toContain('npm install onnxruntime-node');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(readdirSync(temporary())).toEqual([]);
  },
);

test('what runs no model needs no onnxruntime', () => {
  const line = ['--model-version', model, '--target', 'onnx', '--convert-vae-decoder', '--quiet'];
  const args = [...hideOnnxruntime, join(root, 'cli/main.ts'), ...line, '-o', temporary('converted')];
  expect(spawnSync(process.execPath, args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
});
