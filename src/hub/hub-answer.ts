import { DownloadError } from '../errors.ts';
import { PassingError } from './retry.ts';

/** Milliseconds without a byte after which a connection counts as broken, unless the options say otherwise. */
const PATIENCE = 60_000;

/** Bytes; more than any list of files or description of a repository has. */
export const LARGEST_ANSWER = 64 * 2 ** 20;

/** Does something with the network, whose failures may pass; so may a silence that lasts too long. */
export async function passing<T>(
  host: string,
  work: (signal: AbortSignal) => Promise<T>,
  { signal, patience = PATIENCE }: { signal?: AbortSignal | undefined; patience?: number | undefined } = {},
): Promise<T> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), patience);
  const silent = new Promise<never>((_, reject) => {
    silence.signal.addEventListener('abort', () =>
      reject(new PassingError(`${host} said nothing for ${Math.round(patience / 1000)} s`)),
    );
  });
  try {
    const both = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
    return await Promise.race([work(both), silent]);
  } catch (error) {
    if (error instanceof PassingError) throw error;
    throw new PassingError(`the connection to ${host} failed (${reason(error)})`, undefined, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** The innermost cause: `fetch failed` alone says nothing. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof Error) return reason(error.cause);
  return error.message || ('code' in error ? String(error.code) : error.name);
}

/** The bytes of an answer as they come. Throws `PassingError` where the connection breaks or falls silent. */
export async function* answerBytes(
  response: Response,
  host: string,
  patience: number | undefined,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const { done, value } = await passing(host, () => reader.read(), { patience });
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** The whole of an answer that is text. Throws `PassingError`, and `DownloadError` for one without end. */
export async function answerText(
  response: Response,
  host: string,
  patience: number | undefined,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of answerBytes(response, host, patience)) {
    bytes += chunk.length;
    if (bytes > LARGEST_ANSWER) throw withoutEnd(host);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** The error for an answer that is larger than any, or has more pages. */
export function withoutEnd(host: string): DownloadError {
  return new DownloadError({
    problem: `${host} answers without end: more than any list has where one was asked for.`,
    advice: 'Check HF_ENDPOINT, and whether a proxy stands between.',
  });
}
