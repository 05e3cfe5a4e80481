import { DownloadError, FileFormatError, RequestError, SdConvertError } from '../errors.ts';
import { shown } from '../io/error-text.ts';
import { isJsonObject } from '../io/json/python-json.ts';
import { answerBytes, answerText, LARGEST_ANSWER, withoutEnd } from './hub-answer.ts';
import { isPlainPath } from './hub-id.ts';
import type { HubOptions } from './hub-options.ts';
import { hubRequest, type Subject } from './hub-request.ts';
import { readRange } from './read-range.ts';
import { PassingError, retrying } from './retry.ts';

/**
 * The Hub's lists come through `@huggingface/hub`; files do not: its `downloadFile` takes the whole of a file for the part
 * it asked for, says nothing of status and headers, and leaves names unescaped.
 */

/** A file of a repository. */
export interface HubFile {
  /** Its path in the repository, with `/`. */
  readonly path: string;
  readonly size: number;
  /** Expected hash of its bytes, in hexadecimal; also its name in the cache. */
  readonly oid: string;
  /** `sha256` of the bytes (Git LFS), or `blob`: SHA-1 of Git's header and the bytes. */
  readonly hash: 'sha256' | 'blob';
}

/** One repository on the Hub, each request tried again as long as that may help. */
export interface HubRepository {
  readonly repo: string;
  /** The commit that a branch or tag stands at. Throws `RepositoryNotFoundError`, `NotFoundError`, `DownloadError`. */
  commitOf(revision: string, attempts?: number): Promise<string>;
  /** Every file of a commit. Throws as `commitOf` does, and `FileFormatError` for names that lead elsewhere. */
  list(commit: string): Promise<readonly HubFile[]>;
  /** A stretch of a file. Throws as `commitOf` does, `DownloadError` also for a server that gives no parts of files. */
  read(commit: string, file: HubFile, range: FileRange): Promise<Uint8Array>;
  /**
   * A file's bytes from `offset` on, or all of them from a server that has no ranges: `from` says which. One attempt,
   * since a stream can break at any time. Throws `PassingError` and what `hubRequest` throws.
   */
  open(
    commit: string,
    file: HubFile,
    offset: number,
  ): Promise<{ from: number; bytes: AsyncIterable<Uint8Array> }>;
}

/** A stretch of a file, in bytes. */
export interface FileRange {
  readonly offset: number;
  readonly length: number;
}

/** Callbacks that follow the requests and can stop them. */
export interface Follower {
  readonly signal?: AbortSignal | undefined;
  readonly note: (message: string) => void;
}

/** Told how many bytes of all files are there, and which file just grew. */
export type OnBytes = (file: string, done: number, total: number) => void;

/** Whether a revision is a commit by itself, and needs no looking up. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** A repository as the Hub (or the mirror) of `options` has it. Throws `RequestError` for an impossible address. */
export function openRepository(repo: string, given: HubOptions, follower: Follower): HubRepository {
  const options = { ...given, endpoint: checkEndpoint(given.endpoint) };
  const ask = <T>(subject: Subject, call: Call<T>, attempts?: number): Promise<T> =>
    askHub({ subject, call, attempts }, options, follower);
  return {
    repo,
    async commitOf(revision, attempts) {
      if (isCommit(revision)) return revision;
      const info = await ask(
        { repo, revision },
        (hub, how) => hub.modelInfo({ ...how, name: repo, revision, additionalFields: ['sha'] }),
        attempts,
      );
      if (typeof info.sha === 'string' && isCommit(info.sha)) return info.sha;
      throw notAnApi(new URL(options.endpoint));
    },
    list: (commit) =>
      ask({ repo, revision: commit }, async (hub, how) => {
        const files: HubFile[] = [];
        for await (const entry of hub.listFiles({ ...how, repo, revision: commit, recursive: true }))
          if (entry.type === 'file') files.push(checkFile(repo, entry));
        return files;
      }),
    read(commit, file, range) {
      const place = { repo, commit, file };
      const { signal, note } = follower;
      const what = `a part of ${repo}/${file.path}`;
      return retrying(() => readAt(place, range, options, signal), {
        what,
        wait: options.wait,
        signal,
        note,
      });
    },
    open: (commit, file, offset) => openAt({ repo, commit, file }, offset, options, follower),
  };
}

/** A question to the API, by a function of `@huggingface/hub`. */
type Call<T> = (
  hub: typeof import('@huggingface/hub'),
  how: { hubUrl: string; fetch: typeof fetch },
) => Promise<T>;

/** Asks the API through `@huggingface/hub`, with our own requests under it. */
async function askHub<T>(
  { subject, call, attempts }: { subject: Subject; call: Call<T>; attempts: number | undefined },
  options: HubOptions,
  { signal, note }: Follower,
): Promise<T> {
  const hub = await import('@huggingface/hub');
  const asked = new Set<string>();
  let received = 0;
  const request: typeof fetch = async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    // A page that names itself as the next one has no end.
    if (asked.has(url.href)) throw notAnApi(url);
    asked.add(url.href);
    const response = await hubRequest(url, init, { subject, options, signal });
    // Read here, where a cut connection is still known from a wrong answer.
    const text = await answerText(response, url.host, options.patience);
    received += text.length;
    if (asked.size > MOST_PAGES || received > LARGEST_ANSWER) throw withoutEnd(url.host);
    if (!isAnswer(text)) throw notAnApi(url);
    return new Response(text, { status: response.status, headers: response.headers });
  };
  const attempt = async (): Promise<T> => {
    asked.clear();
    received = 0;
    return call(hub, { hubUrl: options.endpoint, fetch: request }).catch((error: unknown) => {
      if (error instanceof SdConvertError || error instanceof PassingError) throw error;
      // The library trusts that an answer has the form it should have.
      throw notAnApi(new URL(options.endpoint), { cause: error });
    });
  };
  const what = `the list of files of ${subject.repo}`;
  return retrying(attempt, { what, attempts, wait: options.wait, signal, note });
}

/** A list has a thousand files on each. */
const MOST_PAGES = 1000;

/** A file of a repository. */
interface FilePlace {
  readonly repo: string;
  readonly commit: string;
  readonly file: HubFile;
}

/** Asks for a file, or for a range of its bytes. */
async function askForFile(
  { repo, commit, file }: FilePlace,
  range: string | undefined,
  options: HubOptions,
  signal: AbortSignal | undefined,
): Promise<{ response: Response; host: string }> {
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  const url = new URL(`${options.endpoint}/${repo}/resolve/${commit}/${path}`);
  const init = range === undefined ? {} : { headers: { range } };
  const subject = { repo, revision: commit, file: file.path };
  return { response: await hubRequest(url, init, { subject, options, signal }), host: url.host };
}

async function readAt(
  place: FilePlace,
  range: FileRange,
  options: HubOptions,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const asked = `bytes=${range.offset}-${range.offset + range.length - 1}`;
  const { response, host } = await askForFile(place, asked, options, signal);
  return readRange(response, { file: place.file, host }, range, options.patience);
}

/** Opens a file's bytes from an offset on, or from its beginning where the server gives no parts. */
async function openAt(
  place: FilePlace,
  offset: number,
  options: HubOptions,
  { signal }: Follower,
): ReturnType<HubRepository['open']> {
  const { file } = place;
  const ranged = (start: number) =>
    askForFile(place, start > 0 ? `bytes=${start}-` : undefined, options, signal);
  let { response, host } = await ranged(offset);
  let from = offset > 0 && response.status === 206 ? rangeStart(response, file.size) : 0;
  if ((from !== 0 && from !== offset) || response.status === 416) {
    await response.body?.cancel().catch(() => {});
    ({ response } = await ranged(0));
    from = 0;
  }
  if (response.status === 416) throw new PassingError(`${host} did not give ${file.path}`);
  return { from, bytes: answerBytes(response, host, options.patience) };
}

/** Start of a partial answer (`Content-Range: bytes 5-9/10`); NaN when it is not the rest of the file. */
function rangeStart(response: Response, size: number): number {
  const [, start, end, total] =
    /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? [];
  const isRest = Number(end) === size - 1 && (total === '*' || Number(total) === size);
  return isRest && Number(start) > 0 ? Number(start) : Number.NaN;
}

/** Checks the Hub's answer about a file, which is not trusted: its names become paths. */
function checkFile(
  repo: string,
  entry: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } },
): HubFile {
  const { path } = entry;
  const hash = entry.lfs ? 'sha256' : 'blob';
  const { oid, size } = entry.lfs ?? entry;
  if (typeof path !== 'string' || !isPlainPath(path)) {
    throw new FileFormatError({
      problem: `${repo} has a file whose name leads out of its folder.`,
      details: { found: shown(path) },
      advice: 'Do not use this repository unless you trust where it comes from.',
    });
  }
  const digits = hash === 'sha256' ? 64 : 40;
  if (
    typeof oid === 'string' &&
    oid.length === digits &&
    /^[0-9a-f]+$/.test(oid) &&
    Number.isSafeInteger(size) &&
    size >= 0
  )
    return { path, size, oid, hash };
  throw new FileFormatError({
    problem: `the Hub gives neither the size nor the hash of ${repo}/${path}.`,
    details: { size: shown(size), hash: shown(oid) },
    advice: 'If HF_ENDPOINT names a mirror, use another one, or none.',
  });
}

/** Whether an answer is JSON of a form that the API has: an object, or a list of objects. */
function isAnswer(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.every(isJsonObject) : isJsonObject(value);
  } catch {
    return false;
  }
}

function checkEndpoint(endpoint: string): string {
  const address = endpoint.trim();
  const url = /^https?:\/\//.test(address) && URL.canParse(address) ? new URL(address) : undefined;
  // What is asked for stands behind it, and no request has a password in its address.
  const isPlain = url && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (isPlain) return address.replace(/\/+$/, '');
  throw new RequestError({
    problem: `${address.replace(/\/\/.*@/s, '//…@')} is not the address of a Hub.`,
    advice: url
      ? 'Write HF_ENDPOINT as https://HOST/PATH alone; a token goes into HF_TOKEN.'
      : 'Write HF_ENDPOINT with its https://, or leave it out for https://huggingface.co.',
  });
}

function notAnApi({ origin }: URL, options?: ErrorOptions): DownloadError {
  return new DownloadError(
    {
      problem: `${origin} does not answer as the Hub does.`,
      advice: 'Check HF_ENDPOINT, and whether a proxy or a login page stands between.',
    },
    options,
  );
}
