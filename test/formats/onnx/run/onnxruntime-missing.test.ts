import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  ORT_NODE_VERSION,
  onnxruntimeMissing,
} from '../../../../src/formats/onnx/run/onnxruntime-missing.ts';

const notFound = "Cannot find package 'onnxruntime-node' imported from /app/node_modules/sdconvert/dist/x.js";
const told = async (found: string, platform: string, arch: string) =>
  (await onnxruntimeMissing(found, { platform, arch })).message;

test('on Linux with x64 the advice keeps the install script from NuGet, where npm would give the package up', async () => {
  expect(await told(notFound, 'linux', 'x64')).toBe(
    'onnxruntime-node, which runs the models, is not installed.\nInstall it beside sdconvert: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1.30.0',
  );
});

test('elsewhere the plain command is enough', async () => {
  expect(await told(notFound, 'win32', 'x64')).toMatch(/sdconvert: npm install onnxruntime-node@1\.30\.0$/);
});

test('the version that is advised is the one that npm would have brought', () => {
  const root = join(import.meta.dirname, '../../../..');
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(optionalDependencies).toEqual({ 'onnxruntime-node': ORT_NODE_VERSION });
});

test('where there is no build, nothing is advised that cannot work', async () => {
  const message = await told(notFound, 'darwin', 'x64');
  expect(message).toContain('onnxruntime-node has no build for darwin-x64.');
  expect(message).not.toContain('npm install');
});

test('a build that does not load says what the system said', async () => {
  const message = await told('Error loading shared library ld-linux-x86-64.so.2', 'linux', 'x64');
  expect(message).toContain('found  Error loading shared library ld-linux-x86-64.so.2');
  expect(message).toContain('musl');
});
