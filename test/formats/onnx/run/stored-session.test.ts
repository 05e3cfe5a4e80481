import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promises as fs } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { DiskSpaceError, FileFormatError, InterruptedError, RequestError } from '../../../../src/errors.ts';
import { modelProto, valueInfo } from '../../../../src/formats/onnx/build-model.ts';
import { encodeModel } from '../../../../src/formats/onnx/proto.ts';
import { type OnnxInMemory, openStoredSession } from '../../../../src/formats/onnx/run/onnx-session.ts';
import { symbol } from '../../../../src/graph/dim.ts';
import { float16Bits } from '../../../../src/weights/convert-dtype.ts';
import { readStored, storeTensor } from '../../../../src/weights/stored-tensor.ts';
import type { TensorData } from '../../../../src/weights/tensor-data.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { slowModel } from './slow-model.ts';

const at = temporaryFolder();

/** What only Linux shows in its files: a process's children, a disk that is full. */
const onLinux = test.runIf(process.platform === 'linux');

const values: readonly TensorData[] = [
  { dtype: 'f32', shape: [2], data: Float32Array.of(-1.5, Number.NaN) },
  { dtype: 'f16', shape: [2], data: Uint16Array.of(float16Bits(-1.5), float16Bits(65504)) },
  { dtype: 'i64', shape: [2], data: BigInt64Array.of(-(2n ** 62n), 49407n) },
  { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
];

function echo(): OnnxInMemory {
  const info = (name: string, { dtype }: TensorData) => valueInfo(name, { dtype, shape: [symbol('n')] });
  const graph = {
    name: 'echo',
    node: values.map(({ dtype }) => ({ opType: 'Identity', input: [dtype], output: [`${dtype}_out`] })),
    input: values.map((each) => info(each.dtype, each)),
    output: values.map((each) => info(`${each.dtype}_out`, each)),
  };
  return { path: 'echo', bytes: encodeModel(modelProto(graph, {})), dataFolder: at() };
}

async function storedFeeds(prefix: string) {
  const stored = values.map(
    async (value) => [value.dtype, await storeTensor(value, at(`${prefix}-${value.dtype}`))] as const,
  );
  return new Map(await Promise.all(stored));
}

describe.each([
  ['a thread', false],
  ['a process of its own', true],
])('in %s', (_, ownProcess) => {
  test('every dtype goes from file to file as it is', async () => {
    const feeds = await storedFeeds(`feeds-${ownProcess}`);
    const session = await openStoredSession(echo(), { ownProcess });
    const outputs = await session.run(feeds, at(`outputs-${ownProcess}-`));
    await session.close();
    await session.close();
    const found = await Promise.all(
      [...outputs].map(async ([name, value]) => [name, await readStored(value)]),
    );
    expect(found).toEqual(values.map((value) => [`${value.dtype}_out`, value]));
    await expect(session.run(feeds, at('closed-'))).rejects.toThrow('echo has been closed');
  });

  onLinux('a value that finds no room on the disk says so, and the next run goes on', async () => {
    const feeds = await storedFeeds(`full-${ownProcess}`);
    const full = at(`full-output-${ownProcess}-`);
    await fs.symlink('/dev/full', `${full}1`);
    const session = await openStoredSession(echo(), { ownProcess });
    await expect(session.run(feeds, full)).rejects.toThrow(DiskSpaceError);
    expect((await session.run(feeds, at(`room-${ownProcess}-`))).size).toBe(values.length);
    await session.close();
  });

  test('feeds that the model does not take, and bytes that are no model, are errors of their kinds', async () => {
    const session = await openStoredSession(echo(), { ownProcess });
    await expect(session.run(new Map(), at('none-'))).rejects.toThrow(RequestError);
    await session.close();
    const broken = openStoredSession({ ...echo(), bytes: new Uint8Array(9) }, { ownProcess });
    await expect(broken).rejects.toThrow(FileFormatError);
  });
});

describe('a process that computes', () => {
  test.skipIf(process.platform === 'win32')(
    'that cannot be started says what there is too little of',
    async () => {
      const script = fileURLToPath(new URL('./run-without-files.ts', import.meta.url));
      const command = `ulimit -n 64 && exec '${process.execPath}' --no-warnings '${script}'`;
      expect((await promisify(execFile)('sh', ['-c', command])).stdout).toBe('too many files are open.\n');
    },
    20_000,
  );

  test('ends at once when it is no longer wanted', async () => {
    const stop = new AbortController();
    const session = await openStoredSession(slowModel(), { ownProcess: true, signal: stop.signal });
    const run = session.run(new Map(), at('unwanted-'));
    void setTimeout(300).then(() => stop.abort());
    await expect(run).rejects.toThrow(InterruptedError);
    await session.close();
  }, 10_000);

  const script = fileURLToPath(new URL('./run-slow-model.ts', import.meta.url));

  onLinux(
    'ends with the process that started it, even when that one is killed',
    async () => {
      const parent = spawn(process.execPath, ['--no-warnings', script, at('killed-')], { detached: true });
      await once(parent.stdout, 'data'); // it computes
      const child = await childOf(parent.pid);
      parent.kill('SIGKILL');
      await once(parent, 'exit');
      for (let looks = 0; looks < 100 && (await exists(child)); looks++) await setTimeout(50);
      expect(await exists(child)).toBe(false);
    },
    20_000,
  );

  onLinux(
    'leaves Ctrl-C, which both get, to the process that started it',
    async () => {
      const parent = spawn(process.execPath, ['--no-warnings', script, at('asked-')], { detached: true });
      await once(parent.stdout, 'data');
      const child = await childOf(parent.pid);
      process.kill(child, 'SIGINT');
      process.kill(child, 'SIGTERM');
      await setTimeout(300);
      expect(await exists(child)).toBe(true);
      parent.kill('SIGKILL');
      await once(parent, 'exit');
    },
    20_000,
  );
});

async function childOf(pid = 0): Promise<number> {
  return Number(await fs.readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'));
}

async function exists(pid: number): Promise<boolean> {
  const state = await fs.readFile(`/proc/${pid}/stat`, 'utf8').catch(() => 'gone) Z');
  return !/\) [ZX]/.test(state);
}
