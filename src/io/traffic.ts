import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Counts the bytes that pass through the interfaces of `bytes.ts` to and from files, in all threads of the process. */

/** Threads that start later inherit it; `benchmarks/report-usage.js` reads it, too. */
const KEY = 'sdconvert traffic';

const counts = sharedCounts();

/** Counts bytes read from a file. */
export function countRead(bytes: number): void {
  Atomics.add(counts, 0, BigInt(bytes));
}

/** Counts bytes written to a file. */
export function countWritten(bytes: number): void {
  Atomics.add(counts, 1, BigInt(bytes));
}

/** Returns the bytes read and written by this process so far. */
export function fileTraffic(): { readonly read: number; readonly written: number } {
  const [read, written] = [Atomics.load(counts, 0), Atomics.load(counts, 1)];
  return { read: Number(read), written: Number(written) };
}

function sharedCounts(): BigInt64Array {
  const inherited: unknown = getEnvironmentData(KEY);
  if (inherited instanceof SharedArrayBuffer) return new BigInt64Array(inherited);
  const memory = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT);
  // as: the types do not know that shared memory can be passed on.
  setEnvironmentData(KEY, memory as never);
  return new BigInt64Array(memory);
}
