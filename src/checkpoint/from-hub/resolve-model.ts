import { join } from 'node:path';
import { type Context, inStage } from '../../context.ts';
import { sizeOf } from '../../hub/hub-cache.ts';
import type { Follower } from '../../hub/hub-client.ts';
import { requireHubId } from '../../hub/hub-id.ts';
import type { HubOptions } from '../../hub/hub-options.ts';
import { type Snapshot, withSnapshot } from '../../hub/snapshot.ts';
import { count, formatBytes } from '../../text.ts';
import { chooseForConversion, type Wanted } from './choose-files.ts';

/** A model of the Hub in the local cache. */
export interface ResolvedModel {
  /** Path in the cache of its diffusers folder or its single file. */
  readonly path: string;
  /** Repository, and the file if it is a single file. Differs from the requested id when the model moved. */
  readonly id: string;
  readonly commit: string;
  /** Files that a conversion needs. */
  readonly files: readonly { readonly name: string; readonly byteLength: number }[];
  /** Notes for the user, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Finds a model of the Hub in the cache and downloads the missing files that a conversion needs. The id is `org/name`,
 * or `org/name/file.safetensors` for a single-file checkpoint. Throws `RequestError`, `RepositoryNotFoundError`,
 * `NotFoundError`, `DownloadError`, `DiskSpaceError`, `UnsupportedModelError` and `InterruptedError`.
 */
export async function resolveModel(
  id: string,
  options: HubOptions & Wanted,
  context: Context = {},
): Promise<ResolvedModel> {
  const hubId = requireHubId(id);
  return inDownload(context, (follower) =>
    withSnapshot(hubId.repo, options, follower, async (snapshot) => {
      const { names, file } = await chooseForConversion(snapshot, hubId, options);
      const { files, detail } = await bring(snapshot, names, context);
      const path = file === undefined ? snapshot.folder : join(snapshot.folder, file);
      const found = file === undefined ? snapshot.repo : `${snapshot.repo}/${file}`;
      return { output: { path, id: found, commit: snapshot.commit, files }, detail };
    }),
  );
}

/** Runs the stage `download`, and adds its notes to the result. */
export async function inDownload<T>(
  context: Context,
  work: (follower: Follower) => Promise<{ readonly output: T; readonly detail: string }>,
): Promise<T & { readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const note = (message: string): void => {
    notes.push(message);
    context.onProgress?.({ type: 'note', message });
  };
  return inStage('download', context, async () => {
    const { output, detail } = await work({ signal: context.signal, note });
    return { output: { ...output, notes }, detail };
  });
}

/** Downloads files of a snapshot with progress; returns them with their sizes, and a summary in words. */
export async function bring(snapshot: Snapshot, names: readonly string[], { onProgress }: Context) {
  const came = await snapshot.bring(names, (what, done, total) =>
    onProgress?.({ type: 'progress', stage: 'download', what, done, total, unit: 'bytes' }),
  );
  const files = await Promise.all(
    names.map(async (name) => ({ name, byteLength: (await sizeOf(join(snapshot.folder, name))) ?? 0 })),
  );
  const size = formatBytes(files.reduce((bytes, { byteLength }) => bytes + byteLength, 0));
  const how = came === 0 ? 'in the cache' : `${formatBytes(came)} downloaded`;
  return { files, detail: `${snapshot.repo}: ${count(names.length, 'file')}, ${size}, ${how}` };
}
