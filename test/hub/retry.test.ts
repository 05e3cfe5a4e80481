import { describe, expect, test, vi } from 'vitest';
import { DownloadError, InterruptedError } from '../../src/errors.ts';
import { PassingError, type Retrying, retrying } from '../../src/hub/retry.ts';
import { rejectionOf } from '../support/thrown-by.ts';

/** Fails with these one after another, then succeeds. */
function failing(...failures: Error[]) {
  return vi.fn(async () => {
    const failure = failures.shift();
    if (failure) throw failure;
    return 'done';
  });
}

function patiently(more: Partial<Retrying> = {}) {
  const waits: number[] = [];
  const wait = async (milliseconds: number) => void waits.push(milliseconds);
  return { waits, how: { what: 'x/y', wait, ...more } };
}

const cut = (retryAfter?: number) => new PassingError('the connection was cut', retryAfter);

test('what may pass is tried again, waiting twice as long each time, give or take', async () => {
  const { waits, how } = patiently();
  expect(await retrying(failing(cut(), cut(), cut(), cut()), how)).toBe('done');
  expect(waits).toHaveLength(4);
  for (const [i, wait] of waits.entries()) {
    expect(wait).toBeLessThanOrEqual(1000 * 2 ** i);
    expect(wait).toBeGreaterThanOrEqual(500 * 2 ** i);
  }
});

test('it waits as long as the server asks, and says so when that is long', async () => {
  const note = vi.fn();
  const { waits, how } = patiently({ note });
  await retrying(failing(cut(3000), cut(60_000)), how);
  expect(waits).toEqual([3000, 60_000]);
  expect(note.mock.calls).toEqual([['the connection was cut; trying again in 60 s.']]);
});

test('a server that asks for more than five minutes is not waited for', async () => {
  const { waits, how } = patiently();
  const error = await rejectionOf(retrying(failing(cut(3_600_000)), how));
  expect(error).toBeInstanceOf(DownloadError);
  expect(error.details['to wait']).toBe('3600 s, says the server');
  expect(waits).toEqual([]);
});

test('after five failures in a row it gives up, saying what failed', async () => {
  const { how } = patiently();
  const attempt = failing(...Array.from({ length: 9 }, () => cut()));
  const error = await rejectionOf(retrying(attempt, how));
  expect(error).toBeInstanceOf(DownloadError);
  expect(error.problem).toBe('x/y could not be downloaded: the connection was cut.');
  expect(attempt).toHaveBeenCalledTimes(5);
});

describe('a download that moves on', () => {
  test('is not given up, however often the connection breaks', async () => {
    let received = 0;
    const attempt = vi.fn(async () => {
      received += 2 ** 21;
      if (attempt.mock.calls.length < 20) throw cut();
    });
    await retrying(attempt, patiently({ received: () => received }).how);
    expect(attempt).toHaveBeenCalledTimes(20);
  });

  test('is given up when it only creeps', async () => {
    let received = 0;
    const attempt = vi.fn(async () => {
      received += 1;
      throw cut();
    });
    await rejectionOf(retrying(attempt, patiently({ received: () => received }).how));
    expect(attempt).toHaveBeenCalledTimes(5);
  });
});

test('what does not pass is thrown at once', async () => {
  const attempt = failing(new DownloadError({ problem: 'no.' }));
  await rejectionOf(retrying(attempt, patiently().how));
  expect(attempt).toHaveBeenCalledTimes(1);
});

test('an interruption ends the wait', async () => {
  const stop = new AbortController();
  const result = rejectionOf(
    retrying(failing(cut(200_000)), { what: 'x', signal: stop.signal, wait: undefined }),
  );
  setTimeout(() => stop.abort(), 20);
  expect(await result).toBeInstanceOf(InterruptedError);
});
