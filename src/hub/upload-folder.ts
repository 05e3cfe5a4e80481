import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Context, throwIfInterrupted } from '../context.ts';
import { NotFoundError, OutputExistsError, RequestError, SdConvertError, UploadError } from '../errors.ts';
import { readText } from '../io/disk.ts';
import { filesIn } from '../io/file-sizes.ts';
import { answerText } from './hub-answer.ts';
import type { HubOptions } from './hub-options.ts';
import { hubRequest } from './hub-request.ts';
import { PassingError } from './retry.ts';

/** A folder that goes to the Hub. */
export interface Upload {
  /** `org/name`; made where it does not exist. */
  readonly repo: string;
  /** Folder in the repository; the repository itself when empty. */
  readonly path: string;
  readonly folder: string;
  /** The file of the folder that tells whether the same is there already. */
  readonly record: string;
  /** What the folder's record is to the one that is there: `newer` ones replace it. */
  readonly compare: (there: string, own: string) => 'same' | 'newer' | 'other';
  /** The commit's title. */
  readonly title: string;
}

/**
 * Puts all files of a folder into a repository, in one commit. Where the repository has the same record there already, nothing
 * is written. Throws `RequestError` without a token and for one that may not write there, `OutputExistsError` where another
 * record is there, `UploadError` for failures that may pass, and `InterruptedError`.
 */
export async function uploadFolder(
  upload: Upload,
  options: HubOptions,
  { signal }: Context,
): Promise<'uploaded' | 'there'> {
  const { repo, path, folder, record, compare, title } = upload;
  const { token: accessToken, endpoint: hubUrl } = options;
  if (!accessToken) throw needsToken(repo, options);
  const inRepository = (name: string): string => (path === '' ? name : `${path}/${name}`);
  const there = await readThere(upload, inRepository(record), options, signal);
  const standing = there === undefined ? 'newer' : compare(there, await readText(join(folder, record)));
  if (standing === 'same') return 'there';
  if (standing === 'other') throw anotherIsThere(upload, options);

  const hub = await import('@huggingface/hub');
  const how = { repo, hubUrl, accessToken, ...(options.fetch && { fetch: options.fetch }) };
  const files = (await filesIn(folder)).map(({ name }) => ({
    path: inRepository(name),
    content: pathToFileURL(join(folder, name)),
  }));
  try {
    if (!(await hub.repoExists(how))) await hub.createRepo(how).catch(unlessThere);
    throwIfInterrupted(signal);
    await hub.uploadFiles({ ...how, files, commitTitle: title, ...(signal && { abortSignal: signal }) });
    return 'uploaded';
  } catch (error) {
    throwIfInterrupted(signal);
    throw uploadFailure(repo, options, error);
  }
}

/** What the repository has under a name; `undefined` where it has nothing, or is not there itself. */
async function readThere(
  { repo }: Upload,
  file: string,
  options: HubOptions,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const url = new URL(
    `${options.endpoint}/${repo}/resolve/main/${file.split('/').map(encodeURIComponent).join('/')}`,
  );
  try {
    const response = await hubRequest(
      url,
      {},
      { subject: { repo, revision: 'main', file }, options, signal },
    );
    return await answerText(response, url.host, options.patience);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw uploadFailure(repo, options, error);
  }
}

/** Another worker may make the repository at the same time. */
function unlessThere(error: unknown): void {
  if (statusOf(error) !== 409) throw error;
}

/** The status of an answer that the Hub's client took for an error. */
function statusOf(error: unknown): number {
  return Number(Reflect.get(Object(error), 'statusCode'));
}

function uploadFailure(repo: string, options: HubOptions, error: unknown): SdConvertError {
  if (error instanceof SdConvertError) return error;
  const cause = { cause: error };
  const status = statusOf(error);
  if (status === 401 || status === 403)
    return new RequestError(
      {
        problem: `${options.endpoint} does not let this token write to ${repo}.`,
        advice: `Give one with the right to write there (${options.endpoint}/settings/tokens): --token or HF_TOKEN.`,
      },
      cause,
    );
  const said = error instanceof Error ? error.message : String(error);
  return new UploadError(
    {
      problem: `nothing could be put into ${repo}${error instanceof PassingError ? `: ${said}` : ''}.`,
      details: error instanceof PassingError ? {} : { 'the Hub says': said },
      advice: 'Nothing of it is there: try again later.',
    },
    cause,
  );
}

function needsToken(repo: string, { endpoint }: HubOptions): RequestError {
  return new RequestError({
    problem: `a token is needed to put results into ${repo}.`,
    advice: `Make one that may write on ${endpoint}/settings/tokens, and give it with --token or HF_TOKEN.`,
  });
}

function anotherIsThere({ repo, path, record }: Upload, { endpoint }: HubOptions): OutputExistsError {
  return new OutputExistsError({
    problem: `${repo} holds another result${path === '' ? '' : ` in ${path}`}: its ${record} differs.`,
    advice: `Delete it on ${endpoint}/${repo}, or publish into another repository.`,
  });
}
