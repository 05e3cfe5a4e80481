import { procText } from './proc.ts';

/** Most memory that a process which has ended had at once, of those that computed for this one. */
let ofChild = 0;

/** Notes the most memory in bytes that a process had which this one started, one at a time, and which has ended. */
export function noteChildPeak(bytes: number): void {
  ofChild = Math.max(ofChild, bytes);
}

/** Most memory in bytes that this process had resident at once, with the largest of those that computed for it. */
export function peakMemory(): number {
  return (linuxPeak() ?? process.resourceUsage().maxRSS * 1024) + ofChild;
}

/** As Linux tells it: in `maxRSS` it counts the memory of the process that started this one, until this one has more. */
function linuxPeak(): number | undefined {
  const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(procText('self/status'))?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
