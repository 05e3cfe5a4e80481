import { execFile } from 'node:child_process';
import { promises as fs } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FileFormatError, NotFoundError, RequestError } from '../../../../src/errors.ts';
import { modelProto, valueInfo } from '../../../../src/formats/onnx/build-model.ts';
import { encodeModel, type NodeProto } from '../../../../src/formats/onnx/proto.ts';
import { openOnnxSession } from '../../../../src/formats/onnx/run/onnx-session.ts';
import { symbol } from '../../../../src/graph/dim.ts';
import { float16Bits } from '../../../../src/weights/convert-dtype.ts';
import type { TensorData } from '../../../../src/weights/tensor-data.ts';
import { hideOnnxruntime } from '../../../support/hide-onnxruntime.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

const at = temporaryFolder();
const quick = { optimize: false };

const values: readonly TensorData[] = [
  { dtype: 'f64', shape: [2], data: Float64Array.of(0.1, Number.NEGATIVE_INFINITY) },
  { dtype: 'f32', shape: [2], data: Float32Array.of(-1.5, Number.NaN) },
  { dtype: 'f16', shape: [2], data: Uint16Array.of(float16Bits(-1.5), float16Bits(65504)) },
  { dtype: 'i64', shape: [2], data: BigInt64Array.of(-(2n ** 62n), 49407n) },
  { dtype: 'i32', shape: [2], data: Int32Array.of(-5, 7) },
  { dtype: 'i8', shape: [2], data: Int8Array.of(-128, 127) },
  { dtype: 'u8', shape: [2], data: Uint8Array.of(0, 255) },
  { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
];

/** A model that gives back what it takes, of several dtypes, and scalars. */
async function writeEcho(...names: string[]): Promise<string> {
  const node: NodeProto[] = values.map(({ dtype }) => ({
    opType: 'Identity',
    input: [dtype],
    output: [`${dtype}_out`],
  }));
  const infos = values.map(({ dtype }) => ({ dtype, shape: [symbol('n')] }));
  const scalar = { dtype: 'f32', shape: [] } as const;
  node.push({ opType: 'Identity', input: ['scalar'], output: ['scalar_out'] });
  const graph = {
    name: 'echo',
    node,
    input: [...infos.map((info) => valueInfo(info.dtype, info)), valueInfo('scalar', scalar)],
    output: [...infos.map((info) => valueInfo(`${info.dtype}_out`, info)), valueInfo('scalar_out', scalar)],
  };
  const path = at(...names);
  await fs.writeFile(path, encodeModel(modelProto(graph, {})));
  return path;
}

const scalar: TensorData = { dtype: 'f32', shape: [], data: Float32Array.of(981) };
const feeds = () =>
  new Map<string, TensorData>([...values.map((each) => [each.dtype, each] as const), ['scalar', scalar]]);

describe('a session', () => {
  test('declares inputs and outputs with their free sizes', async () => {
    const session = await openOnnxSession(await writeEcho('declares.onnx'), quick);
    await session.close();
    expect(session.inputs.map(({ name }) => name)).toEqual([...feeds().keys()]);
    expect(session.inputs.at(2)).toEqual({ name: 'f16', dtype: 'f16', dims: ['n'] });
    expect(session.outputs.at(-1)).toEqual({ name: 'scalar_out', dtype: 'f32', dims: [] });
  });

  test.each([true, false])('gives every dtype as it is, float16 as bits (optimize: %s)', async (optimize) => {
    const session = await openOnnxSession(await writeEcho('echo.onnx'), { optimize });
    const outputs = await session.run(feeds());
    await session.close();
    expect(outputs).toEqual(new Map([...feeds()].map(([name, tensor]) => [`${name}_out`, tensor])));
  });

  test('leaves the feeds to the caller, who may feed them again and while another run goes on', async () => {
    const session = await openOnnxSession(await writeEcho('again.onnx'), quick);
    const fed = feeds();
    const [first, second] = await Promise.all([session.run(fed), session.run(fed)]);
    await session.close();
    expect(fed).toEqual(feeds());
    expect(second).toEqual(first);
  });

  test('takes feeds that are views of larger buffers', async () => {
    const session = await openOnnxSession(await writeEcho('view.onnx'), quick);
    const data = Float32Array.of(0, 1, 2, 3).subarray(1, 3);
    const outputs = await session.run(feeds().set('f32', { dtype: 'f32', shape: [2], data }));
    await session.close();
    expect(outputs.get('f32_out')?.data).toEqual(Float32Array.of(1, 2));
  });

  test('refuses feeds that the model does not take, and goes on', async () => {
    const path = await writeEcho('refuses.onnx');
    const session = await openOnnxSession(path, quick);
    const wrongShape = session.run(
      feeds().set('f32', { dtype: 'f32', shape: [1, 1], data: Float32Array.of(1) }),
    );
    await expect(wrongShape).rejects.toThrow(RequestError);
    await expect(wrongShape).rejects.toThrow(/refuses\.onnx cannot be run[\s\S]*Invalid rank for input: f32/);
    await expect(
      session.run(feeds().set('f32', { ...scalar, dtype: 'bf16', data: new Uint16Array(1) })),
    ).rejects.toThrow(RequestError);
    expect((await session.run(feeds())).size).toBe(values.length + 1);
    await session.close();
  });

  test('says that it is closed, and closes twice', async () => {
    const session = await openOnnxSession(await writeEcho('closed.onnx'), quick);
    await session.close();
    await session.close();
    await expect(session.run(feeds())).rejects.toThrow(/closed\.onnx[\s\S]*closed/);
  });
});

describe('a file that is no model', () => {
  test('is named when it is not there', async () => {
    await expect(openOnnxSession(at('none.onnx'), quick)).rejects.toThrow(NotFoundError);
    await expect(openOnnxSession(at('none.onnx'), quick)).rejects.toThrow('none.onnx does not exist');
  });

  test.each([
    ['an HTML page', async (path: string) => fs.writeFile(path, '<html>')],
    ['nothing', async (path: string) => fs.writeFile(path, '')],
    ['cut off', async (path: string) => fs.truncate(await writeEcho('damaged.onnx').then(() => path), 300)],
  ])('is named when it is damaged: %s', async (_, damage) => {
    const path = at('damaged.onnx');
    await damage(path);
    const refused = openOnnxSession(path, quick);
    await expect(refused).rejects.toThrow(FileFormatError);
    await expect(refused).rejects.toThrow(
      /damaged\.onnx cannot be loaded as an ONNX model\.\n {2}onnxruntime .+\n.+again\.$/,
    );
  });
});

function dataUrl(script: string): string {
  return `data:text/javascript,${encodeURIComponent(script)}`;
}

describe('in a process of its own', () => {
  const script = fileURLToPath(new URL('./open-and-run.ts', import.meta.url));
  const node = (...args: string[]) => promisify(execFile)(process.execPath, args);

  test('nothing is printed, not even when a run fails', async () => {
    const { stdout, stderr } = await node('--no-warnings', script, await writeEcho('quiet.onnx'));
    expect(stdout).toMatch(
      /^RequestError: .*quiet\.onnx cannot be run with these inputs\.\n {2}onnxruntime {2}input 'f64' is missing.*\nCompare them with .*\n$/,
    );
    expect(stderr).toBe('');
  });

  test('no telemetry of onnxruntime is left in the temporary folder', async () => {
    await fs.mkdir(at('tmp'));
    const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
    const path = await writeEcho('telemetry.onnx');
    await promisify(execFile)(process.execPath, ['--no-warnings', script, path], {
      env: { ...env, TMPDIR: at('tmp') },
    });
    expect(await fs.readdir(at('tmp'))).toEqual([]);
  });

  test.each([
    ['while it runs', 'run() { setImmediate(crash); return new Promise(() => {}); }'],
    ['between two runs', 'run() { setImmediate(crash); return Promise.resolve({}); }'],
  ])('a crash of onnxruntime %s is told as a crash, once, by the run that meets it', async (_, run) => {
    const fake = `const crash = () => { throw new Error('out of memory'); };
      export const env = {};
      export const InferenceSession = { create: async () => ({ inputMetadata: [], outputMetadata: [], outputNames: [], release: async () => {}, ${run} }) };`;
    const replace = `import { registerHooks } from 'node:module';
      registerHooks({ resolve(specifier, context, next) { return specifier === 'onnxruntime-node' ? { url: ${JSON.stringify(dataUrl(fake))}, shortCircuit: true } : next(specifier, context); } });`;
    const path = await writeEcho('crashes.onnx');
    const { stdout, stderr } = await node('--no-warnings', '--import', dataUrl(replace), script, path, '2');
    expect(stdout).toMatch(
      /^SdConvertError: onnxruntime crashed while it had .*crashes\.onnx loaded\.\n {2}found {2}Error: out of memory\n.*memory/,
    );
    expect(stderr).toBe('');
  });

  test('without onnxruntime-node the error says what to install', async () => {
    const path = await writeEcho('absent.onnx');
    const { stdout } = await node(...hideOnnxruntime, script, path);
    expect(stdout).toMatch(/^NotFoundError: onnxruntime-node, which runs the models, is not installed/);
    expect(stdout).toContain('npm install onnxruntime-node');
    expect(stdout).not.toMatch(/^\s+at /m);
  });
});
