import { DownloadError } from '../errors.ts';
import { formatBytes } from '../text.ts';
import { answerBytes } from './hub-answer.ts';
import { PassingError } from './retry.ts';

/** A file by its path in the repository, and its bytes. */
interface SizedFile {
  readonly path: string;
  readonly size: number;
}

/** Reads the answer to a request for a stretch of a file. Throws `DownloadError` where the server has no parts, and `PassingError`. */
export async function readRange(
  response: Response,
  { file, host }: { readonly file: SizedFile; readonly host: string },
  { offset, length }: { readonly offset: number; readonly length: number },
  patience: number | undefined,
): Promise<Uint8Array> {
  const isPart = response.status === 206;
  const range = `bytes ${offset}-${offset + length - 1}/${file.size}`;
  const isAsked = isPart ? response.headers.get('content-range') === range : length === file.size;
  if (!isAsked) {
    await response.body?.cancel().catch(() => {});
    throw noParts(file, host);
  }
  const bytes = new Uint8Array(length);
  let filled = 0;
  for await (const block of answerBytes(response, host, patience)) {
    if (filled + block.length > length) throw noParts(file, host);
    bytes.set(block, filled);
    filled += block.length;
    if (filled === length) break; // the connection may stay open
  }
  if (filled < length) throw new PassingError(`${host} gave ${filled} of ${length} bytes of ${file.path}`);
  return bytes;
}

function noParts({ path, size }: SizedFile, host: string): DownloadError {
  return new DownloadError({
    problem: `${host} does not give parts of files, so ${path} (${formatBytes(size)}) cannot be looked into without downloading it.`,
    advice: 'Download the model first (sdconvert download), or take the Hub itself instead of a mirror.',
  });
}
