import { join } from 'node:path';
import { DiskSpaceError, RequestError } from '../errors.ts';
import { freeBytes } from '../io/disk.ts';
import { sameButForCase } from '../io/same-name.ts';
import { formatBytes } from '../text.ts';
import { downloadBlob, incompletePath } from './download-blob.ts';
import { sweepLock } from './file-lock.ts';
import { type RepositoryCache, sizeOf } from './hub-cache.ts';
import type { Follower, HubFile, HubRepository, OnBytes } from './hub-client.ts';
import type { HubOptions } from './hub-options.ts';
import { isWhole } from './whole-file.ts';

/** Files of a commit to bring into the cache. */
export interface FilesRequest {
  readonly repository: HubRepository;
  readonly cache: RepositoryCache;
  readonly commit: string;
  readonly files: readonly HubFile[];
  readonly options: HubOptions;
  /** Whether weights that are there are read and compared, too: of small files all are. */
  readonly isThorough: boolean;
  readonly onBytes: OnBytes;
}

/** More connections gain nothing on most lines; fewer waste the pauses between files. */
const AT_ONCE = 4;

/**
 * Brings files into the cache, several at once, leaving those that are there; gives how many bytes had to come. Throws
 * `DiskSpaceError` before anything is downloaded, and what `downloadBlob` throws: then the others are stopped too.
 */
export async function downloadFiles(request: FilesRequest, follower: Follower): Promise<number> {
  const { repository, cache, commit, options, isThorough } = request;
  // The weights last: where they are, a later run without the Hub finds the small files, too.
  const files = [...request.files].sort((a, b) => a.size - b.size);
  refuseSameNames(repository.repo, files);
  const progress = new Progress(request);
  const missing: HubFile[] = [];
  for (const file of files) {
    const onBytes = (count: number): void => progress.add(file, count);
    const comparing = { isThorough, signal: follower.signal, onBytes };
    const isThere = await isWhole(join(cache.snapshot(commit), file.path), file, comparing);
    progress.set(file, isThere ? file.size : 0);
    if (!isThere) missing.push(file);
  }
  // A run that was killed between a file and its lock left the lock.
  for (const { oid } of files) await sweepLock(cache.lock(oid));
  const absent = await absentBlobs(missing, request, follower);
  const toCome = await bytesToCome(absent.values(), cache);
  await checkSpace(toCome, options.cacheDir);

  const stop = new AbortController();
  const signal = follower.signal ? AbortSignal.any([follower.signal, stop.signal]) : stop.signal;
  await inParallel(missing, AT_ONCE, stop, async (file) => {
    const { oid, path } = file;
    if (absent.has(oid)) {
      const blob = { path: cache.blob(oid), lock: cache.lock(oid), wait: options.wait, isThorough };
      const onBytes = (bytes: number): void => progress.set(file, bytes);
      await downloadBlob({ repository, commit, file, ...blob, onBytes }, { ...follower, signal });
    }
    await cache.point(commit, path, oid);
    progress.set(file, file.size);
  });
  return toCome;
}

/** The blobs of files that are not in the cache, or with other bytes, by their hash. */
async function absentBlobs(
  files: readonly HubFile[],
  { cache, isThorough }: FilesRequest,
  { signal, note }: Follower,
): Promise<ReadonlyMap<string, HubFile>> {
  const absent = new Map<string, HubFile>();
  for (const [oid, file] of new Map(files.map((each) => [each.oid, each]))) {
    const path = cache.blob(oid);
    if (await isWhole(path, file, { isThorough, signal })) continue;
    if ((await sizeOf(path)) === file.size)
      note(`${file.path} was damaged in the cache; downloading it again.`);
    absent.set(oid, file);
  }
  return absent;
}

/** Counts the bytes that are there of all files. */
class Progress {
  readonly #onBytes: FilesRequest['onBytes'];
  readonly #total: number;
  readonly #of = new Map<HubFile, number>();
  #done = 0;

  constructor({ files, onBytes }: Pick<FilesRequest, 'files' | 'onBytes'>) {
    this.#onBytes = onBytes;
    this.#total = files.reduce((sum, { size }) => sum + size, 0);
  }

  add(file: HubFile, count: number): void {
    this.set(file, (this.#of.get(file) ?? 0) + count);
  }

  set(file: HubFile, bytes: number): void {
    const before = this.#of.get(file) ?? 0;
    if (bytes === before) return;
    this.#done += bytes - before;
    this.#of.set(file, bytes);
    this.#onBytes(file.path, this.#done, this.#total);
  }
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

/** Bytes of files that are not on the disk yet. */
async function bytesToCome(files: Iterable<HubFile>, cache: RepositoryCache): Promise<number> {
  let bytes = 0;
  for (const { oid, size } of files)
    bytes += Math.max(0, size - ((await sizeOf(incompletePath(cache.blob(oid)))) ?? 0));
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
