/**
 * Preloaded into a process that is measured (`measure.ts`): when it ends, it writes what it used to file descriptor 3.
 * Its threads are part of it. The counts of bytes are shared by all copies of `traffic.ts` in a process, built or not.
 */
import { readFileSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { fileTraffic } from '../src/io/traffic.ts';

if (isMainThread) {
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    const peakRss = linuxPeakRss() ?? maxRSS * 1024;
    const [user, system] = [userCPUTime / 1e6, systemCPUTime / 1e6];
    writeSync(3, JSON.stringify({ user, system, peakRss, ...fileTraffic() }));
  });
}

/** Linux counts the memory of the parent in a child's `maxRSS` until it has more itself; this has no such floor. */
function linuxPeakRss(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
