import { createHash, type Hash } from 'node:crypto';
import { DownloadError } from '../errors.ts';
import { movePath, openFile, removePath } from '../io/disk.ts';
import { growFile } from '../io/shared-file.ts';
import { sniff } from '../io/sniff.ts';
import { streamBytes } from '../io/stream-bytes.ts';
import { underLock } from './file-lock.ts';
import { sizeOf } from './hub-cache.ts';
import type { Follower, HubFile, HubRepository } from './hub-client.ts';
import type { HubOptions } from './hub-options.ts';
import { PassingError, retrying } from './retry.ts';
import { isWhole } from './whole-file.ts';

/** A content to download. */
export interface BlobRequest {
  readonly repository: HubRepository;
  readonly commit: string;
  readonly file: HubFile;
  /** Path under which it appears when it is complete and its hash is right. */
  readonly path: string;
  readonly lock: string;
  /** Whether one that is there is read, and replaced where it is another: its size alone may have to do. */
  readonly isThorough: boolean;
  readonly wait: HubOptions['wait'];
  /** Told after each piece how many bytes are there. */
  readonly onBytes: (done: number) => void;
}

/** Path of an incomplete download. Python's tool uses the same, and each resumes the other's downloads. */
export function incompletePath(path: string): string {
  return `${path}.incomplete`;
}

/**
 * Downloads a content, going on with what an earlier run left, and hashes it on the way. Only one process downloads;
 * others wait and find it there. Throws `DownloadError` when its hash is wrong twice or the connection keeps breaking,
 *`DiskSpaceError`, `InterruptedError`, and the errors of Hub requests.
 */
export async function downloadBlob(request: BlobRequest, follower: Follower): Promise<void> {
  const { path, file, lock, isThorough } = request;
  await underLock(lock, follower.signal, async () => {
    if (await isWhole(path, file, { isThorough, signal: follower.signal })) return;
    const wrong = await receive(request, follower);
    if (!wrong) return;
    follower.note(`${file.path} arrived damaged; downloading it again.`);
    const wrongAgain = await receive(request, follower);
    if (wrongAgain) throw damaged(request, wrongAgain);
  });
  request.onBytes(file.size);
}

/** A download with wrong content. */
interface Damage {
  readonly found: string;
  /** "a web page, …", when that can be told. */
  readonly what: string | undefined;
}

/** Completes the incomplete file and renames it; wrong content is removed and reported. */
async function receive(request: BlobRequest, { signal, note }: Follower): Promise<Damage | undefined> {
  const { repository, commit, file, path, wait, onBytes } = request;
  const incomplete = incompletePath(path);
  if (((await sizeOf(incomplete)) ?? 0) > file.size) await removePath(incomplete);
  const growing = await growFile(incomplete);
  let hash = await hashSoFar(file, incomplete, growing.size);
  let position = growing.size;
  const attempt = async (): Promise<void> => {
    if (position === file.size) return;
    const { from, bytes } = await repository.open(commit, file, position);
    if (from !== position) {
      position = from;
      hash = startHash(file);
    }
    for await (const chunk of bytes) {
      const piece = chunk.subarray(0, file.size - position);
      hash.update(piece);
      await growing.write(piece, position);
      position += piece.length;
      onBytes(position);
      // What follows is no part of it, and may have no end; nor may a connection that stays open.
      if (position === file.size) break;
    }
    if (position < file.size)
      throw new PassingError(`the connection ended after ${position} of ${file.size} bytes`);
  };
  try {
    await retrying(attempt, {
      what: `${repository.repo}/${file.path}`,
      wait,
      signal,
      note,
      received: () => position,
    });
    // After a power cut a file may have its name and its size, and not its bytes.
    await growing.sync();
  } finally {
    await growing.close();
  }
  const found = hash.digest('hex');
  if (found === file.oid) return void (await movePath(incomplete, path));
  const what = await recognize(file, incomplete);
  await removePath(incomplete);
  return { found, what };
}

/** Makes a hash of the part that is downloaded already. */
async function hashSoFar(file: HubFile, path: string, size: number): Promise<Hash> {
  const hash = startHash(file);
  if (size === 0) return hash;
  const source = await openFile(path);
  try {
    for await (const block of streamBytes(source, 0, size)) hash.update(block);
  } finally {
    await source.close();
  }
  return hash;
}

/** Git hashes a file with its size before it: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects */
function startHash({ hash, size }: HubFile): Hash {
  return hash === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** Recognises other content in the place of safetensors; other weights may be a zip or a pickle. */
async function recognize({ path: name }: HubFile, path: string): Promise<string | undefined> {
  if (!name.endsWith('.safetensors')) return undefined;
  const source = await openFile(path);
  try {
    const start = new Uint8Array(Math.min(128, source.size));
    await source.read(start, 0);
    return sniff(start)?.what;
  } finally {
    await source.close();
  }
}

function damaged({ repository, file }: BlobRequest, { found, what }: Damage): DownloadError {
  return new DownloadError({
    problem: `${repository.repo}/${file.path} arrived damaged twice and was removed.`,
    details: {
      expected: `${file.hash === 'sha256' ? 'SHA-256' : 'Git hash'} ${file.oid}`,
      found: what ? `${found}: ${what}` : found,
    },
    advice:
      'Something between here and the Hub changes files (a proxy, a mirror, bad memory): try another connection.',
  });
}
