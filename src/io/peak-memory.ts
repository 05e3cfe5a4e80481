/** Most memory that a process which has ended had at once, of those that computed for this one. */
let ofChild = 0;

/** Notes the most memory in bytes that a process had which this one started, one at a time, and which has ended. */
export function noteChildPeak(bytes: number): void {
  ofChild = Math.max(ofChild, bytes);
}

/** Most memory in bytes that this process had resident at once, with the largest of those that computed for it. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS * 1024 + ofChild;
}
