import { readFileSync } from 'node:fs';

/** Milliseconds between two looks: what is computed in a process of its own takes seconds. */
const INTERVAL = 50;

/** Most bytes that a process and those it started had resident together, looking again and again until `signal` is aborted; 0 where there is no /proc. */
export async function mostTreeMemory(pid: number, signal: AbortSignal): Promise<number> {
  let most = 0;
  while (!signal.aborted) {
    // First: until it becomes its program, a new process has the memory of the one that it was copied from.
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    most = Math.max(most, treeMemory(pid));
  }
  return most;
}

/** Bytes that are resident now; files that several have mapped count for each. */
function treeMemory(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    return children.reduce((sum, child) => sum + treeMemory(Number(child)), Number(kibibytes) * 1024);
  } catch {
    return 0; // it has ended, or there is no /proc
  }
}
