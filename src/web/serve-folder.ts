import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RequestError } from '../errors.ts';
import { BLOCK_BYTES, type ByteRange, type ByteSource } from '../io/bytes.ts';
import { openFile } from '../io/disk.ts';
import { identityOfFile } from '../io/opened-files.ts';
import { contentType } from './content-type.ts';
import { requestedRange } from './requested-range.ts';
import { servedFile } from './served-file.ts';

/** Where to listen. */
export interface ServerAddress {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

/** A server that listens. */
export interface RunningServer {
  /** `http://127.0.0.1:8080/` */
  readonly address: string;
  /** Ends it, with all connections. */
  close(): Promise<void>;
}

/**
 * Headers of every answer. The first three isolate the page from other sites, without which browsers give WASM no
 * threads; the last keeps a browser from guessing types.
 */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
};

/** Serves the files of a folder, and nothing else. Throws `RequestError` for an address that cannot be listened on. */
export async function serveFolder(folder: string, { host, port }: ServerAddress): Promise<RunningServer> {
  const server = createServer((request, response) => {
    answer(folder, request, response).catch(() => response.destroy());
  });
  await listening(server, { host, port });
  const { address, family, port: chosen } = server.address() as AddressInfo; // as: it listens on TCP
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${chosen}/`,
    async close() {
      const closed = new Promise((done) => server.close(done));
      server.closeAllConnections();
      await closed;
    },
  };
}

const LAST_PORT = 65_535;

async function listening(server: Server, { host, port }: ServerAddress): Promise<void> {
  if (!Number.isInteger(port) || port < 0 || port > LAST_PORT)
    throw new RequestError({
      problem: `${port} is no port.`,
      details: { expected: `a whole number from 0 to ${LAST_PORT}` },
    });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(host, port, error)));
  server.listen({ host, port }, resolve);
  return promise;
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): RequestError {
  const { code = error.message } = error;
  const isPort = code === 'EADDRINUSE' || code === 'EACCES';
  const why = { EADDRINUSE: `port ${port} of ${host} is in use`, EACCES: `port ${port} is not allowed` }[
    code
  ];
  return new RequestError(
    {
      problem: `${why ?? `this machine has no address ${host} (${code})`}.`,
      advice: isPort
        ? 'Pass another port with --port, or --port 0 for any that is free.'
        : 'Leave out --host, or pass 127.0.0.1, or 0.0.0.0 for all addresses of this machine.',
    },
    { cause: error },
  );
}

async function answer(folder: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  const { method = '', url = '/' } = request;
  if (method !== 'GET' && method !== 'HEAD')
    return say(response, 405, 'Only GET and HEAD are answered.', { Allow: 'GET, HEAD' });
  const served = await servedFile(folder, url);
  if (served.kind === 'moved') return say(response, 301, served.to, { Location: served.to });
  if (served.kind === 'absent') return say(response, 404, 'There is no such file.');
  await sendFile(served.path, request, response);
}

async function sendFile(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const identity = await identityOfFile(path);
  if (identity === undefined) return say(response, 404, 'There is no such file.');
  const source = await openFile(path);
  try {
    // Another may get its name before it is opened.
    if ((await identityOfFile(path)) !== identity) return await sendFile(path, request, response);
    await sendOpened(source, tagOf(identity), request, response);
  } finally {
    await source.close();
  }
}

/** A file that was changed has another tag, whatever its size and its date, so that no browser joins parts of two files. */
function tagOf(identity: string): string {
  return `"${createHash('sha256').update(identity).digest('base64url').slice(0, 22)}"`;
}

async function sendOpened(
  source: ByteSource,
  tag: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { name, size } = source;
  response.setHeader('ETag', tag);
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('Accept-Ranges', 'bytes');
  if (request.headers['if-none-match'] === tag) return void response.writeHead(304).end();
  const ifRange = request.headers['if-range'];
  const header = ifRange === undefined || ifRange === tag ? request.headers.range : undefined;
  const range = requestedRange(header, size);
  if (range === 'unsatisfiable')
    return say(response, 416, `The file has ${size} bytes.`, { 'Content-Range': `bytes */${size}` });
  const part = range === 'whole' ? { offset: 0, bytes: size } : range;
  if (range !== 'whole')
    response.setHeader('Content-Range', `bytes ${part.offset}-${part.offset + part.bytes - 1}/${size}`);
  response.writeHead(range === 'whole' ? 200 : 206, {
    'Content-Type': contentType(name),
    'Content-Length': part.bytes,
  });
  if (request.method === 'HEAD') return void response.end();
  await pipeline(Readable.from(blocks(source, part), { objectMode: false }), response);
}

async function* blocks(source: ByteSource, { offset, bytes }: ByteRange): AsyncGenerator<Uint8Array> {
  const end = offset + bytes;
  for (let at = offset; at < end; at += BLOCK_BYTES) {
    // A block each: the socket may still hold the one before.
    const block = new Uint8Array(Math.min(BLOCK_BYTES, end - at));
    await source.read(block, at);
    yield block;
  }
}

function say(
  response: ServerResponse,
  status: number,
  text: string,
  more: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...more }).end(`${text}\n`);
}
