/**
 * Preloaded into a process that is measured (`measure.ts`): when it ends, it writes what it used to file descriptor 3.
 * Its threads are part of it, and the CPU time of processes that it started and that have ended. Plain JavaScript, since to load Node's TypeScript parser would take 30 MB of the memory that is measured.
 */
import { readFileSync, writeSync } from 'node:fs';
import { getEnvironmentData, isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    const peakRss = linuxPeakRss() ?? maxRSS * 1024;
    const children = linuxChildren();
    const [user, system] = [userCPUTime / 1e6 + children.user, systemCPUTime / 1e6 + children.system];
    writeSync(3, JSON.stringify({ user, system, peakRss, ...fileTraffic() }));
  });
}

/** Where `src/io/traffic.ts`, from source or built, counts for all threads. */
function fileTraffic() {
  const memory = getEnvironmentData('sdconvert traffic');
  const [read = 0n, written = 0n] = memory ? new BigInt64Array(memory) : [];
  return { read: Number(read), written: Number(written) };
}

/** Seconds of CPU that processes took which this one started, in ticks of 10 ms (proc(5): cutime and cstime). */
function linuxChildren() {
  if (process.platform !== 'linux') return { user: 0, system: 0 };
  const [, afterName = ''] = readFileSync('/proc/self/stat', 'utf8').split(/\) (?=[^)]*$)/);
  const [user, system] = afterName.split(' ').slice(13, 15);
  return { user: Number(user) / 100, system: Number(system) / 100 };
}

/** Linux counts the memory of the parent in a child's `maxRSS` until it has more itself; this has no such floor. */
function linuxPeakRss() {
  if (process.platform !== 'linux') return undefined;
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
