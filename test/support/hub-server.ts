import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerUpload, takeUpload } from './hub-uploads.ts';

/** A repository as the imitation of the Hub holds it. */
export interface FakeRepository {
  readonly commit: string;
  /** Branches and tags that stand at the commit. */
  readonly refs: readonly string[];
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Which files are in Git LFS: those are answered with a redirect to a signed address on another host. */
  readonly isLfs: (name: string) => boolean;
  /** The only token that may read it. */
  readonly privateTo?: string;
  /** Everyone sees its list of files, nobody its files. */
  readonly isGated?: boolean;
}

/** What goes wrong with one answer that carries a file. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  /** The connection ends after so many bytes of the answer's body. */
  | { readonly kind: 'cut'; readonly after: number }
  /** The answer ends early without saying so: it has no length. */
  | { readonly kind: 'short'; readonly after: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'ignore-range' }
  | { readonly kind: 'content-range'; readonly header: string }
  | { readonly kind: 'page' }
  | { readonly kind: 'slow'; readonly pieces: number; readonly milliseconds: number };

/** A request as it came. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

/** An imitation of the Hub on this machine, and of the storage that it sends people to. */
export interface HubServer {
  readonly url: string;
  readonly repositories: Map<string, FakeRepository>;
  /** Every request, in order. */
  readonly seen: Seen[];
  /** Bytes of files that were given out. */
  bytesSent: number;
  /** Says what goes wrong with the next answer for a file. */
  fault: (file: string) => Fault | undefined;
  /** What the list of files says, for names and hashes that no repository should have. */
  changeList: (entries: Record<string, unknown>[]) => Record<string, unknown>[];
  /** Says what goes wrong with the next answer of the API. */
  api: () => Fault | undefined;
  /** Tokens that may write everywhere. */
  readonly writers: Set<string>;
  /** Large files that were uploaded, by their SHA-256. */
  readonly uploads: Map<string, Uint8Array>;
  /** The repository of each commit, in order. */
  readonly commits: string[];
  close(): Promise<void>;
}

/** Entries of one page of a list of files; the real one has 1000. */
const PAGE = 3;

/** Starts it on free ports. */
export async function startHub(): Promise<HubServer> {
  const signatures = new Map<string, { repository: FakeRepository; name: string }>();
  const storage = createServer((request, response) => void answerStorage(request, response));
  const hub = createServer((request, response) => void answerHub(request, response));
  const [url, storageUrl] = await Promise.all([listen(hub), listen(storage)]);
  const server: HubServer = {
    url,
    repositories: new Map(),
    seen: [],
    bytesSent: 0,
    fault: () => undefined,
    changeList: (entries) => entries,
    api: () => undefined,
    writers: new Set(['hf_writer']),
    uploads: new Map(),
    commits: [],
    close: async () => {
      await Promise.all([close(hub), close(storage)]);
    },
  };
  return server;

  async function answerHub(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = see(request, url);
    if (await answerUpload(request, response, server, storageUrl)) return;
    const [, isApi, repo = '', kind, rest = ''] =
      /^\/(api\/models\/)?([^/]+\/[^/]+?)\/(revision|tree|resolve)\/(.+)$/.exec(pathname) ?? [];
    const repository = server.repositories.get(repo);
    const token = request.headers.authorization?.replace('Bearer ', '');
    if (token === 'hf_bad')
      return fail(response, 401, undefined, 'Invalid credentials in Authorization header');
    if (!repository || (repository.privateTo !== undefined && repository.privateTo !== token))
      return fail(response, token ? 404 : 401, 'RepoNotFound', 'Repository not found');
    const [revision = '', ...path] = rest.split('/').map(decodeURIComponent);
    if (revision !== repository.commit && !repository.refs.includes(revision))
      return fail(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);

    if (isApi) {
      const fault = server.api();
      if (fault) return misbehave(response, fault, Buffer.from('{}'));
      if (kind === 'revision') return json(response, { id: repo, sha: repository.commit, siblings: [] });
      const entries = server.changeList(list(repository));
      const at = Number(searchParams.get('cursor') ?? 0);
      if (at + PAGE < entries.length) {
        response.setHeader('link', `<${url}${pathname}?recursive=true&cursor=${at + PAGE}>; rel="next"`);
      }
      return json(response, entries.slice(at, at + PAGE));
    }
    const name = path.join('/');
    const bytes = repository.files[name];
    if (repository.isGated) return fail(response, token ? 403 : 401, 'GatedRepo', 'Access is restricted');
    if (bytes === undefined) return fail(response, 404, 'EntryNotFound', 'Entry not found');
    response.setHeader('x-repo-commit', repository.commit);
    if (!repository.isLfs(name)) {
      response.setHeader('etag', `"${blobHash(bytes)}"`);
      return give(request, response, name, bytes);
    }
    const signature = randomUUID();
    signatures.set(signature, { repository, name });
    response.setHeader('x-linked-etag', `"${sha256(bytes)}"`);
    response.setHeader('x-linked-size', bytes.length);
    response.writeHead(302, { location: `${storageUrl}/${sha256(bytes)}?signature=${signature}` }).end();
  }

  /** As object storage does: a signature is good for one request, and a token is an error. */
  async function answerStorage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = see(request, storageUrl);
    if (request.method === 'PUT') return takeUpload(request, response, server);
    const signature = searchParams.get('signature') ?? '';
    const asked = signatures.get(signature);
    if (!asked || request.headers.authorization) return fail(response, 403, undefined, 'AccessDenied');
    if (request.method !== 'HEAD') signatures.delete(signature);
    return give(request, response, asked.name, asked.repository.files[asked.name] ?? new Uint8Array());
  }

  async function give(
    request: IncomingMessage,
    response: ServerResponse,
    name: string,
    bytes: Uint8Array,
  ): Promise<void> {
    const fault = request.method === 'HEAD' ? undefined : server.fault(name);
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    let body = bytes;
    if (range && fault?.kind !== 'ignore-range') {
      const start = Number(range[1]);
      if (start >= bytes.length) return fail(response, 416, undefined, 'out of range');
      const end = range[2] ? Math.min(Number(range[2]), bytes.length - 1) : bytes.length - 1;
      body = bytes.subarray(start, end + 1);
      response.statusCode = 206;
      response.setHeader(
        'content-range',
        fault?.kind === 'content-range' ? fault.header : `bytes ${start}-${end}/${bytes.length}`,
      );
    }
    response.setHeader('accept-ranges', 'bytes');
    if (request.method === 'HEAD') {
      response.setHeader('content-length', body.length);
      return void response.end();
    }
    server.bytesSent += fault?.kind === 'cut' || fault?.kind === 'short' ? fault.after : body.length;
    return misbehave(response, fault, body);
  }

  function see(request: IncomingMessage, base: string): URL {
    const { method = '', url: path = '', headers } = request;
    server.seen.push({ method, path, range: headers.range, authorization: headers.authorization });
    return new URL(path, base);
  }
}

/** SHA-256 in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What Git calls a file of these bytes. */
export function blobHash(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}

function list({ files, isLfs }: FakeRepository): Record<string, unknown>[] {
  const entries = Object.entries(files).map(([path, bytes]) => {
    const pointer = { oid: sha256(bytes), size: bytes.length, pointerSize: 130 };
    const lfs = isLfs(path) ? { lfs: pointer } : {};
    return { type: 'file', path, oid: blobHash(bytes), size: bytes.length, ...lfs };
  });
  const folders = new Set(
    entries.flatMap(({ path }) => (path.includes('/') ? [path.replace(/\/[^/]*$/, '')] : [])),
  );
  return [
    ...[...folders].map((path) => ({ type: 'directory', path, oid: '0'.repeat(40), size: 0 })),
    ...entries,
  ];
}

async function misbehave(
  response: ServerResponse,
  fault: Fault | undefined,
  body: Uint8Array,
): Promise<void> {
  switch (fault?.kind) {
    case 'status':
      return void response.writeHead(fault.status, fault.headers).end();
    case 'page':
      return void response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
        .end('<!DOCTYPE html><html>Log in</html>');
    case 'bytes':
      return void response.end(fault.bytes);
    case 'short':
      response.write(body.subarray(0, fault.after));
      return void response.end();
    case 'cut':
      response.setHeader('content-length', body.length);
      response.flushHeaders();
      return void response.write(body.subarray(0, fault.after), () => response.destroy());
    case 'slow': {
      const step = Math.ceil(body.length / fault.pieces);
      for (let at = 0; at < body.length; at += step) {
        response.write(body.subarray(at, at + step));
        await new Promise((resolve) => setTimeout(resolve, fault.milliseconds));
      }
      return void response.end();
    }
    default:
      response.setHeader('content-length', body.length);
      return void response.end(body);
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
}

function fail(response: ServerResponse, status: number, code: string | undefined, message: string): void {
  if (code) response.setHeader('x-error-code', code);
  response
    .setHeader('x-error-message', message)
    .writeHead(status)
    .end(JSON.stringify({ error: message }));
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on a port, not a pipe, has an address.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
