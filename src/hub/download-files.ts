import { join } from 'node:path';
import { DiskSpaceError, RequestError } from '../errors.ts';
import { freeBytes } from '../io/disk.ts';
import { sameButForCase } from '../io/same-name.ts';
import { formatBytes } from '../text.ts';
import { downloadBlob, incompletePath } from './download-blob.ts';
import { sweepLock } from './file-lock.ts';
import { type RepositoryCache, sizeOf } from './hub-cache.ts';
import type { Follower, HubFile, HubRepository } from './hub-client.ts';
import type { HubOptions } from './hub-options.ts';

/** Files of a commit to bring into the cache. */
export interface FilesRequest {
  readonly repository: HubRepository;
  readonly cache: RepositoryCache;
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly options: HubOptions;
  /** Told how many bytes of all the files are there, and which file just grew. */
  readonly onBytes: (file: string, done: number, total: number) => void;
}

/** More connections gain nothing on most lines; fewer waste the pauses between files. */
const AT_ONCE = 4;

/**
 * Brings files into the cache, several at once, leaving those that are there; gives how many bytes had to come. Throws
 * `DiskSpaceError` before anything is downloaded, and what `downloadBlob` throws: then the others are stopped too.
 */
export async function downloadFiles(request: FilesRequest, follower: Follower): Promise<number> {
  const { repository, cache, commit, options, onBytes } = request;
  // The weights last: where they are, a later run without the Hub finds the small files, too.
  const files = [...request.files].sort((a, b) => a.size - b.size);
  const missing: HubFile[] = [];
  for (const file of files) {
    if ((await sizeOf(join(cache.snapshot(commit), file.path))) !== file.size) missing.push(file);
  }
  refuseSameNames(repository.repo, files);
  // A run that was killed between a file and its lock left the lock.
  for (const { oid } of files) await sweepLock(cache.lock(oid));
  const toCome = await bytesToCome(missing, cache);
  await checkSpace(toCome, options.cacheDir);

  const total = sum(files.map(({ size }) => size));
  const kept = total - sum(missing.map(({ size }) => size));
  const done = new Map<string, number>();
  const stop = new AbortController();
  const signal = follower.signal ? AbortSignal.any([follower.signal, stop.signal]) : stop.signal;
  await inParallel(missing, AT_ONCE, stop, async (file) => {
    const { oid, path } = file;
    const progress = (bytes: number): void => {
      done.set(path, bytes);
      onBytes(path, kept + sum(done.values()), total);
    };
    if ((await sizeOf(cache.blob(oid))) !== file.size) {
      const blob = { path: cache.blob(oid), lock: cache.lock(oid), wait: options.wait, onBytes: progress };
      await downloadBlob({ repository, commit, file, ...blob }, { ...follower, signal });
    }
    await cache.point(commit, path, oid);
    progress(file.size);
  });
  return toCome;
}

/** Throws `RequestError` for two files that would be one where case does not count. */
function refuseSameNames(repo: string, files: readonly HubFile[]): void {
  const same = sameButForCase(files.map(({ path }) => path));
  if (!same) return;
  throw new RequestError({
    problem: `${repo} has files whose names differ by case alone: ${same.join(' and ')}.`,
    advice: 'On Windows and macOS that is one name. Name one of the files, or use another repository.',
  });
}

/** Bytes that are not on the disk yet; files of the same content count once. */
async function bytesToCome(files: readonly HubFile[], cache: RepositoryCache): Promise<number> {
  let bytes = 0;
  for (const [oid, { size }] of new Map(files.map((file) => [file.oid, file]))) {
    if ((await sizeOf(cache.blob(oid))) === size) continue;
    bytes += Math.max(0, size - ((await sizeOf(incompletePath(cache.blob(oid)))) ?? 0));
  }
  return bytes;
}

async function checkSpace(needed: number, folder: string): Promise<void> {
  if (needed === 0) return;
  const free = await freeBytes(folder);
  if (needed <= free) return;
  throw new DiskSpaceError({
    problem: `the download needs ${formatBytes(needed)}, but the disk has only ${formatBytes(free)} free.`,
    details: { folder },
    advice: 'Free some space, or choose another disk with --cache-dir or HF_HOME.',
  });
}

/** Works on a few items at once; the first failure stops those at work, and is thrown. */
async function inParallel<T>(
  items: readonly T[],
  limit: number,
  stop: AbortController,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      if (stop.signal.aborted) return;
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (failures.length > 0) throw failures[0];
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
