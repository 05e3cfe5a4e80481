import type { Redis } from 'ioredis';
import { NotFoundError, RequestError, type SdConvertError } from '../../errors.ts';
import { loadOptional } from '../../io/optional-package.ts';

/** What the queue needs, with the versions that it is tested with. */
const packages = { purpose: 'The queue', packages: ['bullmq@6.7.0', 'ioredis@6.0.0'] };

/** Loads the engine of the queue. Throws `NotFoundError` where it is not installed. */
export function loadBullMq(): Promise<typeof import('bullmq')> {
  return loadOptional(packages, () => import('bullmq'));
}

/** Most milliseconds between two attempts to find a Redis that went away. */
const LONGEST_WAIT = 5_000;

/**
 * Connects to the Redis (or Valkey) of a queue. A `lasting` connection comes back by itself where Redis goes away later. Throws
 * `RequestError` for an address that is none or that wants a password, `NotFoundError` where nothing answers, or ioredis is not
 * installed.
 */
export async function connectTo(address: string, { lasting }: { readonly lasting: boolean }): Promise<Redis> {
  checkAddress(address);
  const { Redis } = await loadOptional(packages, () => import('ioredis'));
  let wasConnected = false;
  let complaint: unknown;
  const redis = new Redis(address, {
    lazyConnect: true,
    connectTimeout: 10_000,
    maxRetriesPerRequest: null, // BullMQ waits for Redis itself
    retryStrategy: (times) => (wasConnected && lasting ? Math.min(200 * times, LONGEST_WAIT) : null),
  });
  redis.on('error', (error) => {
    complaint = error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    redis.disconnect();
    throw noQueue(address, complaint ?? error);
  }
  wasConnected = true;
  return redis;
}

/** An address without its password, for messages. */
export function withoutPassword(address: string): string {
  return address.replace(/^(rediss?:\/\/[^/@]*?):[^/@]*@/, '$1:…@');
}

function checkAddress(address: string): void {
  if (/^rediss?:\/\/[^\s/]+/.test(address) && URL.canParse(address)) return;
  throw new RequestError({
    problem: `--queue ${withoutPassword(address)} is not the address of a queue.`,
    advice: 'Write redis://HOST:PORT, or rediss:// for a connection with TLS.',
  });
}

function noQueue(address: string, error: unknown): SdConvertError {
  const said = error instanceof Error ? error.message : String(error);
  const shown = withoutPassword(address);
  if (/NOAUTH|WRONGPASS|NOPERM/.test(said))
    return new RequestError(
      {
        problem: `the queue at ${shown} wants another name or password.`,
        advice: 'Write them into the address: redis://NAME:PASSWORD@HOST:PORT.',
      },
      { cause: error },
    );
  return new NotFoundError(
    {
      problem: `there is no queue at ${shown} (${said || 'nothing answers'}).`,
      advice:
        'Start one: redis-server --appendonly yes (or docker run -p 6379:6379 valkey/valkey valkey-server --appendonly yes).',
    },
    { cause: error },
  );
}
