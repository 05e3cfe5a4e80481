/** What of a connection to Redis is needed here. */
interface Counter {
  incr(key: string): Promise<number>;
  pexpire(key: string, milliseconds: number): Promise<number>;
}

const MINUTE = 60_000;

/**
 * Takes one of the `most` fetches from the Hub that all workers together may begin in a minute; gives 0, or the milliseconds
 * until there are some again. BullMQ limits whole queues, and conversions need no limit.
 */
export async function takeTurn(redis: Counter, most: number, now = Date.now()): Promise<number> {
  const minute = Math.floor(now / MINUTE);
  const key = `sdconvert:fetches:${minute}`;
  const taken = await redis.incr(key);
  if (taken === 1) await redis.pexpire(key, 2 * MINUTE);
  return taken <= most ? 0 : (minute + 1) * MINUTE - now;
}
