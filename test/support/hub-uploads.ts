import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import type { HubServer } from './hub-server.ts';

/**
 * The part of the imitated Hub that takes uploads: repositories are made, large files go to the storage by Git LFS, and a commit
 * names what it adds. Says whether the request was one of these, and is answered.
 */
export async function answerUpload(
  request: IncomingMessage,
  response: ServerResponse,
  hub: HubServer,
  storageUrl: string,
): Promise<boolean> {
  const path = new URL(request.url ?? '', hub.url).pathname;
  const [, existing] = /^\/api\/models\/([^/]+\/[^/]+)$/.exec(path) ?? [];
  if (existing !== undefined)
    return answer(response, hub.repositories.has(existing) ? 200 : 404, { id: existing });
  if (request.method !== 'POST') return false;
  const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
  if (!hub.writers.has(token)) return answer(response, 403, { error: 'You don’t have the rights' });
  const body = (await buffer(request)).toString();
  if (path === '/api/repos/create') return createRepository(body, response, hub);
  const [, repo = '', action] =
    /^\/api\/models\/([^/]+\/[^/]+)\/(preupload|commit)\/main$/.exec(path) ??
    /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/(batch)$/.exec(path) ??
    [];
  const repository = hub.repositories.get(repo);
  if (!repository) return answer(response, 404, { error: 'Repository not found' });
  if (action === 'preupload') {
    const files: { path: string }[] = JSON.parse(body).files;
    const modes = files.map((file) => ({
      path: file.path,
      uploadMode: repository.isLfs(file.path) ? 'lfs' : 'regular',
    }));
    return answer(response, 200, { files: modes });
  }
  if (action === 'batch') {
    const objects: { oid: string; size: number }[] = JSON.parse(body).objects;
    const offers = objects.map((object) => ({
      ...object,
      ...(!hub.uploads.has(object.oid) && {
        actions: { upload: { href: `${storageUrl}/upload/${object.oid}` } },
      }),
    }));
    return answer(response, 200, { transfer: 'basic', objects: offers });
  }
  hub.commits.push(repo);
  const commit = createHash('sha1').update(body).digest('hex');
  hub.repositories.set(repo, {
    ...repository,
    commit,
    files: { ...repository.files, ...committed(body, hub) },
  });
  return answer(response, 200, { commitOid: commit, commitUrl: `${hub.url}/${repo}/commit/${commit}` });
}

/** Takes a large file, whose address is its SHA-256. */
export async function takeUpload(
  request: IncomingMessage,
  response: ServerResponse,
  hub: HubServer,
): Promise<void> {
  const bytes = await buffer(request);
  const oid = createHash('sha256').update(bytes).digest('hex');
  const isRight = request.url === `/upload/${oid}`;
  if (isRight) hub.uploads.set(oid, bytes);
  answer(response, isRight ? 200 : 400, {});
}

function createRepository(body: string, response: ServerResponse, hub: HubServer): boolean {
  const { organization, name } = JSON.parse(body);
  const repo = `${organization}/${name}`;
  hub.repositories.set(repo, {
    commit: '0'.repeat(40),
    refs: ['main'],
    files: {},
    isLfs: (file) => /\.(onnx|onnx_data|bin|safetensors)$/.test(file),
  });
  return answer(response, 200, { url: `${hub.url}/${repo}`, id: repo });
}

/** The files of a commit: a line of JSON for each, after one for the commit itself. */
function committed(body: string, { uploads }: HubServer): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const line of body.split('\n')) {
    const { key, value } = JSON.parse(line);
    if (key === 'file') files[value.path] = Buffer.from(value.content, value.encoding);
    const bytes = key === 'lfsFile' ? uploads.get(value.oid) : undefined;
    if (bytes) files[value.path] = bytes;
  }
  return files;
}

function answer(response: ServerResponse, status: number, value: unknown): true {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  return true;
}
