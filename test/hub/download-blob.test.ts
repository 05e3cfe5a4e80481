import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { resolveModel } from '../../src/checkpoint/from-hub/resolve-model.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { DownloadError, InterruptedError } from '../../src/errors.ts';
import { repository, scrambled } from '../support/hub-checkpoint.ts';
import { filesBelow, hubFixture, inTurn } from '../support/hub-fixture.ts';
import { sha256 } from '../support/hub-server.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();
const weights = 'model.safetensors';
const bytes = scrambled(70_000, 8);
const config = Buffer.from('{"in_channels":4}');

beforeEach(
  () =>
    void hub.server.repositories.set('org/model', repository({ 'config.json': config, [weights]: bytes })),
);

describe('a connection that breaks', () => {
  const borders = [0, 1, 65_535, 65_536, 65_537, bytes.length - 1];
  test.each(borders)('after %i bytes is taken up again where it broke', async (after) => {
    hub.faultOf(weights, { kind: 'cut', after });
    await arrives();
    // How much arrived of what was sent is the system's to say.
    const [first, ...again] = hub.rangesOf(weights);
    expect(first).toBeUndefined();
    expect(again).toHaveLength(1);
    expect(hub.server.bytesSent).toBeLessThanOrEqual(config.length + bytes.length + after);
    expect(hub.waits).toHaveLength(1);
  });

  test('is taken up again when the answer only seems to end', async () => {
    hub.faultOf(weights, { kind: 'short', after: 30_000 });
    await arrives();
    expect(hub.rangesOf(weights)).toEqual([undefined, 'bytes=30000-']);
  });

  test('again and again ends in an error that says what to do, and the next run goes on from there', async () => {
    hub.server.fault = (file) => (file === weights ? { kind: 'short', after: 100 } : undefined);
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.problem).toContain(
      `org/model/${weights} could not be downloaded: the connection ended after`,
    );
    expect(error.advice).toContain('run the same command again');
    hub.server.fault = () => undefined;
    hub.server.seen.length = 0;
    await arrives();
    expect(hub.rangesOf(weights)).toEqual(['bytes=500-']);
  });

  test('on a server without ranges starts the file anew', async () => {
    hub.faultOf(weights, { kind: 'cut', after: 30_000 }, { kind: 'ignore-range' });
    await arrives();
  });

  test.each([
    'bytes 0-69999/70000',
    'bytes 5-69999/70000',
    'bytes 30000-69998/70000',
    'bytes 30000-69999/70001',
    'nonsense',
  ])('does not believe a range of %s', async (header) => {
    hub.faultOf(weights, { kind: 'short', after: 30_000 }, { kind: 'content-range', header });
    await arrives();
    expect(hub.rangesOf(weights)).toEqual([undefined, 'bytes=30000-', undefined]);
  });

  test('while the list of files comes is tried again', async () => {
    hub.server.api = inTurn({ kind: 'cut', after: 1 });
    await arrives();
  });

  test('but never opened ends in an error that names the host', async () => {
    const error = await rejectionOf(
      resolveModel('org/model', { ...hub.options, endpoint: 'http://127.0.0.1:9' }),
    );
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.problem).toContain('the connection to 127.0.0.1:9 failed');
    expect(hub.waits).toHaveLength(4);
  });

  test('that is merely slow is waited for', async () => {
    hub.faultOf(weights, { kind: 'slow', pieces: 7, milliseconds: 20 });
    await arrives();
    expect(hub.waits).toEqual([]);
  });
});

describe('a busy server', () => {
  test.each([408, 429, 500, 502, 503, 504])('that answers %i is asked again', async (status) => {
    hub.faultOf(weights, { kind: 'status', status });
    await arrives();
    expect(hub.waits).toHaveLength(1);
  });

  test('that says when is asked then: in seconds, or at a date', async () => {
    const date = new Date(Date.now() + 60_000).toUTCString();
    hub.faultOf(
      weights,
      { kind: 'status', status: 429, headers: { 'retry-after': '7' } },
      { kind: 'status', status: 503, headers: { 'retry-after': date } },
    );
    await arrives();
    expect(hub.waits[0]).toBe(7000);
    expect(hub.waits[1]).toBeGreaterThan(57_000);
    expect(hub.waits[1]).toBeLessThanOrEqual(60_000);
  });

  test('that does not answer the list of files is asked again', async () => {
    hub.server.api = inTurn({ kind: 'status', status: 503 });
    await arrives();
  });
});

describe('wrong bytes', () => {
  const wrong = scrambled(bytes.length, 99);

  test('are thrown away and downloaded once more', async () => {
    hub.faultOf(weights, { kind: 'bytes', bytes: wrong });
    const { notes } = await arrives();
    expect(notes).toEqual([`${weights} arrived damaged; downloading it again.`]);
  });

  test('twice end in an error with both hashes, and nothing of them stays', async () => {
    hub.server.fault = (file) => (file === weights ? { kind: 'bytes', bytes: wrong } : undefined);
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.details).toEqual({ expected: `SHA-256 ${sha256(bytes)}`, found: sha256(wrong) });
    const blobs = readdirSync(join(hub.options.cacheDir, 'models--org--model/blobs'));
    expect(blobs.filter((name) => name.startsWith(sha256(bytes)))).toEqual([]);
  });

  test('of a small file, which Git hashes, are noticed too', async () => {
    const name = 'config.json';
    hub.server.fault = (file) =>
      file === name ? { kind: 'bytes', bytes: Buffer.from('{"in_channels":5}') } : undefined;
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error.problem).toContain(`${name} arrived damaged twice`);
    expect(error.details.expected).toContain('Git hash');
  });

  test('that go on after the file’s end are not written', async () => {
    hub.faultOf(weights, { kind: 'bytes', bytes: Buffer.concat([bytes, bytes]) });
    await arrives();
  });

  test('are not waited for once the file is there', async () => {
    hub.faultOf(weights, { kind: 'slow', pieces: 1, milliseconds: 20_000 });
    const start = performance.now();
    await arrives();
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test('that an earlier run left are found out', async () => {
    leave(wrong.subarray(0, 1000));
    await arrives();
    expect(hub.rangesOf(weights)).toEqual(['bytes=1000-', undefined]);
  });

  test('longer than the file, left by an earlier run, are thrown away', async () => {
    leave(Buffer.concat([bytes, bytes]));
    await arrives();
    expect(hub.rangesOf(weights)).toEqual([undefined]);
  });

  test('that are a Git-LFS pointer or a web page are called so', async () => {
    const pointer = Buffer.from('version https://git-lfs.github.com/spec/v1\n'.padEnd(bytes.length));
    hub.server.fault = (file) => (file === weights ? { kind: 'bytes', bytes: pointer } : undefined);
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error.details.found).toContain('a Git-LFS pointer');
  });
});

describe('an interruption', () => {
  test('keeps what came, and the next run goes on from there', async () => {
    const stop = new AbortController();
    hub.faultOf(weights, { kind: 'slow', pieces: 10, milliseconds: 30 });
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'progress' && event.what === weights) stop.abort();
    };
    const error = await rejectionOf(
      resolveModel('org/model', hub.options, { signal: stop.signal, onProgress }),
    );
    expect(error).toBeInstanceOf(InterruptedError);
    expect(filesBelow(join(hub.options.cacheDir, '.locks'))).toEqual([]);
    hub.server.seen.length = 0;
    await arrives();
    expect(hub.rangesOf(weights)[0]).toMatch(/^bytes=\d+-$/);
  });
});

/** The model is resolved, and its weights are right. */
async function arrives() {
  const found = await resolveModel('org/model', hub.options);
  expect(readFileSync(join(found.path, weights)).equals(bytes)).toBe(true);
  return found;
}

/** What an earlier run left of the weights. */
function leave(left: Uint8Array): void {
  const blobs = join(hub.options.cacheDir, 'models--org--model/blobs');
  mkdirSync(blobs, { recursive: true });
  writeFileSync(join(blobs, `${sha256(bytes)}.incomplete`), left);
}
