import { basename, dirname, join } from 'node:path';
import { type ClientCheck, checkClient } from '../bundle/check-clients.ts';
import type { ClientName } from '../bundle/profiles/profile.ts';
import { repositoryOf, snapshotOf } from '../checkpoint/cache-folder.ts';
import { refuseRevisionOnDisk, resolveRequested } from '../checkpoint/from-hub/locate-requested.ts';
import { namedOnHub } from '../checkpoint/from-hub/named-on-hub.ts';
import { type Context, inStage } from '../context.ts';
import { RequestError } from '../errors.ts';
import { formatOfEnding } from '../formats/format.ts';
import { type Provenance, readProvenance } from '../formats/provenance.ts';
import { cachedRepository } from '../hub/hub-cache.ts';
import { isHubId, requireHubId } from '../hub/hub-id.ts';
import { type HubOptions, ownHubOptions } from '../hub/hub-options.ts';
import { unfinishedIn } from '../inspect/inspect-artifacts.ts';
import { listFolder, lookAtFile, pathKind } from '../io/disk.ts';
import { fileInsteadOfFolder } from '../io/disk-errors.ts';
import { filesIn } from '../io/file-sizes.ts';
import { hashStream } from '../io/hashing/hash-stream.ts';
import { readStrictJson } from '../io/json/strict-json.ts';
import { notFound } from '../io/not-found.ts';
import { oncePerFile } from '../io/once-per-file.ts';
import { identityOfFile } from '../io/opened-files.ts';
import { count, formatBytes } from '../text.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsStay } from './in-output.ts';

/** Folder to verify. */
export interface VerifyRequest {
  /** A conversion's output folder, a repository's folder in the Hub's cache, or a repository's id. */
  readonly path: string;
  /**
   * Clients, if any, whose demands are checked, instead of hashes; then any folder of models can be verified, and models on
   * the Hub, of which only headers are read.
   */
  readonly clients?: readonly ClientName[] | undefined;
  /** Address and cache of the Hub; the public Hub and the usual cache when left out. */
  readonly hub?: HubOptions | undefined;
}

/** Result of `verify`. */
export interface VerifyResult {
  /** Folder that was verified. */
  readonly path: string;
  /** The repository whose files in the Hub's cache they are, if they are. */
  readonly repo?: string | undefined;
  /** Number of files that were compared, and their total size. */
  readonly files: number;
  readonly bytes: number;
  /** Files that changed or are missing, and models that a run did not finish, one sentence each; empty if all match. */
  readonly problems: readonly string[];
  /** What each client would say; only with `clients`. */
  readonly clients?: readonly ClientCheck[] | undefined;
}

/** A file, and its hash when it was written. */
interface Expected {
  /** Relative to the folder. */
  readonly name: string;
  readonly hash: string;
  readonly as: 'sha256' | 'git';
  /** Size in bytes, if known. */
  readonly byteLength?: number;
}

/**
 * Hashes every file listed in a conversion's `sdconvert.json`, or every blob of a repository in the Hub's cache (which is
 * named by its hash), and lists those that changed, models that a run began and did not finish, and JSON files that are not strict (versions before 0.1.0 copied
 * Python's `Infinity`); with `clients`, what these would refuse. Throws `NotFoundError`, `RequestError` for a folder without
 * a record or, with `clients`, one model, `FileFormatError` for a damaged record, `OutputBusyError` while another run writes there, `InterruptedError`, and with `clients` as `resolveModel` does.
 *
 * @example await verify({ path: './stable-diffusion-v1-5' }) // { files: 35, bytes: …, problems: [] }
 */
export async function verify(request: VerifyRequest, context: Context = {}): Promise<VerifyResult> {
  checkRequest('verify', request);
  const { path, clients } = request;
  if (clients?.length) return verifyForClients({ ...request, clients }, context);
  const folder = await folderOf(request);
  return whileOutputsStay([folder], () => verifyFolder(path, folder, context));
}

async function verifyFolder(path: string, folder: string, context: Context): Promise<VerifyResult> {
  const provenance = await readProvenance(folder);
  const written = provenance && recorded(provenance);
  const expected = written ?? (await cached(folder));
  if (!expected) throw noRecord(path);
  const repo = written ? undefined : repositoryOf(folder);
  return inStage('verify', context, async () => {
    const { files, bytes, ...compared } = await compareAll(folder, expected, context);
    const problems = [...unfinishedIn(provenance ?? {}), ...compared.problems];
    const output = { path: folder, files, bytes, problems, ...(repo !== undefined && { repo }) };
    const wrong = problems.length > 0 ? `, ${count(problems.length, 'problem')}` : '';
    return { output, detail: `${count(files, 'file')}, ${formatBytes(bytes)}${wrong}` };
  });
}

type ForClients = VerifyRequest & { readonly clients: readonly ClientName[] };

async function verifyForClients(request: ForClients, context: Context): Promise<VerifyResult> {
  const { path, clients } = request;
  await refuseRevisionOnDisk(request, [path]);
  const onHub = await resolveRequested(path, request, { purpose: 'models', show: true }, context);
  if (!onHub) {
    const folder = await snapshotOf(await folderOf(request));
    return whileOutputsStay([folder], () => verifyClients(folder, clients, undefined, context));
  }
  try {
    return namedOnHub(await verifyClients(onHub.path, clients, `hf://${onHub.id}`, context), onHub);
  } finally {
    await onHub.close();
  }
}

async function verifyClients(
  folder: string,
  clients: readonly ClientName[],
  hub: string | undefined,
  context: Context,
): Promise<VerifyResult> {
  const format = formatOfEnding(folder);
  if (format && format !== 'onnx') throw oneModel(hub ?? folder);
  return inStage('verify', context, async () => {
    const checks: ClientCheck[] = [];
    for (const client of clients)
      checks.push(await checkClient(client, folder, { hub, signal: context.signal }));
    const all = checks.flatMap(({ client, problems }) => problems.map((problem) => `${client}: ${problem}`));
    const present = new Map<string, number>();
    for (const { folder: loaded } of checks)
      for (const { name, byteLength } of await filesIn(loaded)) present.set(join(loaded, name), byteLength);
    const bytes = [...present.values()].reduce((sum, size) => sum + size, 0);
    const output = { path: folder, files: present.size, bytes, problems: all, clients: checks };
    return { output, detail: `${clients.join(', ')}: ${count(all.length, 'problem')}` };
  });
}

async function folderOf({ path, hub }: VerifyRequest): Promise<string> {
  if (await isHubId(path)) {
    if ((await pathKind(path)) === 'folder') return path; // a local folder takes precedence
    const { cacheDir } = hub ?? (await ownHubOptions());
    const folder = cachedRepository(cacheDir, requireHubId(path, hub?.endpoint).repo);
    if ((await pathKind(folder)) === 'folder') return folder;
  }
  const kind = await pathKind(path);
  if (kind === 'folder') return path;
  if (kind === 'file') throw fileInsteadOfFolder(path);
  throw notFound(path, 'Name the output folder of a conversion, or a repository that was downloaded.');
}

/** Files on record in a conversion's `sdconvert.json`. */
function recorded({ artifacts }: Provenance): readonly Expected[] {
  return Object.entries(artifacts).flatMap(([artifact, { files }]) =>
    files.map(({ name, byteLength, sha256 }) => ({
      name: `${artifact}/${name}`,
      byteLength,
      hash: sha256,
      as: 'sha256' as const,
    })),
  );
}

/** Blobs of a repository in the Hub's cache: large ones are named by SHA-256, the others by Git's blob hash. */
async function cached(folder: string): Promise<readonly Expected[] | undefined> {
  const blobs = join(folder, 'blobs');
  if ((await pathKind(blobs)) !== 'folder') return undefined;
  return (await listFolder(blobs)).flatMap((name): Expected[] => {
    const as = /^[\da-f]{64}$/.test(name) ? 'sha256' : 'git';
    return as === 'sha256' || /^[\da-f]{40}$/.test(name) ? [{ name: `blobs/${name}`, hash: name, as }] : [];
  });
}

async function compareAll(
  folder: string,
  expected: readonly Expected[],
  { onProgress, signal }: Context,
): Promise<Pick<VerifyResult, 'files' | 'bytes' | 'problems'>> {
  const problems: string[] = [];
  /** Bytes by file: lists of strangers, and clients' folders, have one under several names. */
  const sizes = new Map<string, number>();
  for (const { name } of expected) {
    const path = join(folder, name);
    sizes.set((await identityOfFile(path)) ?? path, (await lookAtFile(path))?.size ?? 0);
  }
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  let [done, what] = [0, ''];
  const onBytes = (bytes: number): void => {
    done += bytes;
    onProgress?.({ type: 'progress', stage: 'verify', what, done, total, unit: 'bytes' });
  };
  const once = (as: Expected['as']) => oncePerFile((path) => hashStream(path, { as, signal, onBytes }));
  const hashes = { sha256: once('sha256'), git: once('git') };
  const isStrict = oncePerFile(async (path) => (await readStrictJson(path)) !== undefined);
  for (const { name, byteLength, hash, as } of expected) {
    const found = await lookAtFile(join(folder, name));
    what = basename(name);
    if (!found) problems.push(`${name} is missing.`);
    else if (byteLength !== undefined && found.size !== byteLength)
      problems.push(`${name} has ${found.size} bytes, but ${byteLength} were written.`);
    else if ((await hashes[as](join(folder, name))) !== hash)
      problems.push(`${name} has changed since it was written.`);
    else if (name.endsWith('.json') && !(await isStrict(join(folder, name))))
      problems.push(
        `${name} is not strict JSON (NaN and Infinity are Python’s): convert again with --force, since other runtimes refuse it.`,
      );
  }
  return { files: expected.length, bytes: total, problems };
}

function oneModel(path: string): RequestError {
  return new RequestError({
    problem: `${path} is one model, and clients load a folder of several.`,
    advice: `Name the folder that holds it: ${dirname(path)}.`,
  });
}

function noRecord(path: string): RequestError {
  return new RequestError({
    problem: `${path} cannot be verified: it has no sdconvert.json, and is not a repository in the Hub’s cache.`,
    advice: 'Name the output folder of a conversion itself, not one of the folders in it.',
  });
}
