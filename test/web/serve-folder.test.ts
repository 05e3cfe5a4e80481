import { mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serve } from '../../src/commands/serve.ts';
import { type RunningServer, serveFolder } from '../../src/web/serve-folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const temporary = temporaryFolder();
const model = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
let server: RunningServer;

beforeAll(async () => {
  mkdirSync(temporary('site/models'), { recursive: true });
  mkdirSync(temporary('site-beside'));
  writeFileSync(temporary('secret.txt'), 'secret');
  writeFileSync(temporary('site-beside/secret.txt'), 'secret');
  writeFileSync(temporary('site/index.html'), '<!doctype html>');
  writeFileSync(temporary('site/ort.wasm'), 'wasm');
  writeFileSync(temporary('site/ort.mjs'), 'export {};');
  writeFileSync(temporary('site/.hidden'), 'secret');
  writeFileSync(temporary('site/models/model 1.onnx'), model);
  symlinkSync(temporary('secret.txt'), temporary('site/link.txt'));
  symlinkSync(temporary('site-beside'), temporary('site/linked'));
  server = await serveFolder(temporary('site'), { host: '127.0.0.1', port: 0 });
});
afterAll(() => server.close());

/** Asks for a path as it stands: `fetch` would resolve `..` itself. */
async function ask(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { hostname, port } = new URL(server.address);
  request({ host: hostname, port, path, headers, method }, resolve).on('error', reject).end();
  const answer = await promise;
  const body = Buffer.concat(await answer.toArray());
  return { status: answer.statusCode, headers: answer.headers, body };
}

test('every answer isolates the page, so that browsers give it threads', async () => {
  for (const path of ['/', '/ort.wasm', '/absent', '/models/model%201.onnx'])
    expect((await ask(path)).headers).toMatchObject({
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    });
});

test.each([
  ['/', 'text/html; charset=utf-8'],
  ['/ort.wasm', 'application/wasm'],
  ['/ort.mjs', 'text/javascript; charset=utf-8'],
  ['/models/model%201.onnx', 'application/octet-stream'],
])('%s has the type that browsers insist on', async (path, type) => {
  expect(await ask(path)).toMatchObject({ status: 200, headers: { 'content-type': type } });
});

test.each([
  ['bytes=0-9', 0, 10],
  ['bytes=1048570-2097160', 1_048_570, 1_048_591],
  ['bytes=2999990-', 2_999_990, 10],
  ['bytes=-5', 2_999_995, 5],
  ['bytes=2999999-9999999', 2_999_999, 1],
])('%s is answered with exactly these bytes', async (range, offset, bytes) => {
  const { status, headers, body } = await ask('/models/model%201.onnx', { range });
  expect(status).toBe(206);
  expect(headers['content-range']).toBe(`bytes ${offset}-${offset + bytes - 1}/3000000`);
  expect(body.equals(model.subarray(offset, offset + bytes))).toBe(true);
});

test.each(['bytes=3000000-', 'bytes=-0'])('%s is refused: the file has no such bytes', async (range) => {
  expect(await ask('/models/model%201.onnx', { range })).toMatchObject({
    status: 416,
    headers: { 'content-range': 'bytes */3000000' },
  });
});

test.each(['bytes=9-1', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=-'])(
  '%s, which asks for no single range, is answered with the whole file',
  async (range) => {
    const { status, body } = await ask('/models/model%201.onnx', { range });
    expect([status, body.equals(model)]).toEqual([200, true]);
  },
);

test('a part is answered with the whole file once the file has changed', async () => {
  const { headers } = await ask('/ort.wasm', {}, 'HEAD');
  const range = 'bytes=1-2';
  expect((await ask('/ort.wasm', { range, 'if-range': headers.etag ?? '' })).status).toBe(206);
  writeFileSync(temporary('site/ort.wasm'), 'another');
  expect((await ask('/ort.wasm', { range, 'if-range': headers.etag ?? '' })).body.toString()).toBe('another');
});

test('a file that a browser has is not sent again', async () => {
  const { headers } = await ask('/ort.mjs');
  const again = await ask('/ort.mjs', { 'if-none-match': headers.etag ?? '' });
  expect([again.status, again.body.length]).toEqual([304, 0]);
});

test('HEAD answers with the size alone, other methods are refused', async () => {
  const head = await ask('/models/model%201.onnx', {}, 'HEAD');
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '3000000', 0]);
  expect((await ask('/', {}, 'POST')).status).toBe(405);
});

test.each([
  '/../secret.txt',
  '/models/../../secret.txt',
  '/%2e%2e/secret.txt',
  '/%2E%2e%2fsecret.txt',
  '/..%2fsecret.txt',
  '/..%5csecret.txt',
  '/%252e%252e/secret.txt',
  '/../site-beside/secret.txt',
  '//../secret.txt',
  '/link.txt',
  '/linked/secret.txt',
  '/.hidden',
  '/secret.txt%00.html',
  '/%ff',
  '/index.html/',
  '/models/',
])('%s leads to nothing', async (path) => {
  const { status, body } = await ask(path);
  expect(status).toBe(404);
  expect(body.toString()).not.toContain('secret');
});

test('a folder without its slash leads to the one with it, on the same host', async () => {
  expect(await ask('/models?x')).toMatchObject({ status: 301, headers: { location: '/models/' } });
  expect(await ask('//models')).toMatchObject({ status: 301, headers: { location: '/models/' } });
});

test('a port in use is one sentence that says what to pass', async () => {
  const { port } = new URL(server.address);
  const error = await rejectionOf(serve({ folder: temporary('site'), port: Number(port) }));
  expect(error.message).toBe(
    `port ${port} of 127.0.0.1 is in use.\nPass another port with --port, or --port 0 for any that is free.`,
  );
});

test('a host that this machine is not is refused', async () => {
  const error = await rejectionOf(serve({ folder: temporary('site'), host: '192.0.2.1', port: 0 }));
  expect(error.message).toContain('this machine has no address 192.0.2.1');
});

test('a port that is none is refused', async () => {
  const error = await rejectionOf(serve({ folder: temporary('site'), port: 65_536 }));
  expect(error.message).toContain('65536 is no port');
});

test('a folder without a page leads to the command that makes one', async () => {
  const error = await rejectionOf(serve({ folder: temporary('site/models'), port: 0 }));
  expect(error.message).toContain(`Make one first: sdconvert web ${temporary('site/models')}`);
  expect((await rejectionOf(serve({ folder: temporary('nothing'), port: 0 }))).problem).toContain('nothing');
});

test('a file in the place of another, of its size and its date, is not taken for it', async () => {
  const [path, old] = [temporary('site/same.bin'), new Date(1e12)];
  writeFileSync(path, 'first');
  utimesSync(path, old, old);
  const { headers } = await ask('/same.bin');
  expect((await ask('/same.bin', { 'if-none-match': headers.etag ?? '' })).status).toBe(304);
  writeFileSync(temporary('other.bin'), 'other');
  utimesSync(temporary('other.bin'), old, old);
  renameSync(temporary('other.bin'), path);
  const again = await ask('/same.bin', { 'if-none-match': headers.etag ?? '' });
  expect([again.status, again.body.toString()]).toEqual([200, 'other']);
});
