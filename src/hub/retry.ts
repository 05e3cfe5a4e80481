import { setTimeout } from 'node:timers/promises';
import { DownloadError, InterruptedError } from '../errors.ts';
import { BLOCK_BYTES } from '../io/bytes.ts';

/** A failure that may pass by itself: a cut connection, a busy server. */
export class PassingError extends Error {
  /** Delay that the server asks for, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(message: string, retryAfter?: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = retryAfter;
  }
}

/** Options of repeating an attempt. */
export interface Retrying {
  /** Subject of the sentence "… could not be downloaded". */
  readonly what: string;
  readonly attempts?: number | undefined;
  readonly wait?: ((milliseconds: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes received so far: while they grow by more than a block between failures, nothing is given up. */
  readonly received?: () => number;
  readonly note?: (message: string) => void;
}

const ATTEMPTS = 5;

/** A server that asks for more than this is taken to mean: later. */
const LONGEST_WAIT = 300_000;

/** Shorter waits are not worth a word. */
const WORTH_A_NOTE = 5_000;

/**
 * Does something again while it fails with `PassingError`, waiting exponentially longer (with jitter, so that many
 * clients do not come back at once) or as long as the server asks. Throws `DownloadError` when it has failed too often
 * in a row, `InterruptedError`, and at once what else the attempt throws.
 */
export async function retrying<T>(attempt: () => Promise<T>, how: Retrying): Promise<T> {
  const { what, attempts = ATTEMPTS, wait = timer, signal, received = () => 0 } = how;
  let farthest = received();
  for (let failed = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (signal?.aborted) throw interruptedDownload();
      if (!(error instanceof PassingError)) throw error;
      if (received() > farthest + BLOCK_BYTES) failed = 0;
      farthest = Math.max(farthest, received());
      failed++;
      const pause = error.retryAfter ?? backoff(failed);
      if (failed >= attempts || pause > LONGEST_WAIT) throw gaveUp(what, failed, error);
      if (pause >= WORTH_A_NOTE)
        how.note?.(`${error.message}; trying again in ${Math.round(pause / 1000)} s.`);
      await wait(pause, signal);
      if (signal?.aborted) throw interruptedDownload();
    }
  }
}

/** Makes the error of a download that the user stops. */
export function interruptedDownload(): InterruptedError {
  return new InterruptedError({
    problem: 'interrupted; the downloaded part is kept, and the same command resumes it.',
  });
}

/** One, two, four, eight seconds, shortened by up to a half. */
function backoff(failed: number): number {
  return 1000 * 2 ** (failed - 1) * (1 - Math.random() / 2);
}

async function timer(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  // An abort ends the wait; the caller looks at the signal itself.
  await setTimeout(milliseconds, undefined, signal ? { signal } : {}).catch(() => {});
}

function gaveUp(what: string, failed: number, { message, retryAfter, cause }: PassingError): DownloadError {
  return new DownloadError(
    {
      problem: `${what} could not be downloaded: ${message}.`,
      details: {
        attempts: String(failed),
        ...(retryAfter === undefined
          ? {}
          : { 'to wait': `${Math.ceil(retryAfter / 1000)} s, says the server` }),
      },
      advice: 'Check the connection and run the same command again: it resumes with the downloaded part.',
    },
    { cause },
  );
}
