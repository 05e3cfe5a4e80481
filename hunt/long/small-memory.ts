import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeFullSizeCheckpoint } from '../../benchmarks/make-full-size-checkpoint.ts';
import { sdconvertProcess } from '../kills/sdconvert-process.ts';
import { emptyTally, type Keep } from '../tally.ts';

/** Memory that the conversion may take, in MB. */
const MEGABYTES = 250;

/**
 * Files of the two versions of Linux's control groups: the limit, the most that was taken, and what keeps the rest from going
 * to the swap, where there is one (for memory and swap together in the first version, for swap alone in the second).
 */
const versions = [
  {
    top: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    most: 'memory.max_usage_in_bytes',
    swap: { file: 'memory.memsw.limit_in_bytes', most: MEGABYTES * 1e6 },
  },
  {
    top: '/sys/fs/cgroup',
    limit: 'memory.max',
    most: 'memory.peak',
    swap: { file: 'memory.swap.max', most: 0 },
  },
] as const;

/**
 * Converts Stable Diffusion 1.5 at its real size (random weights, 4.3 GB) to both targets in a control group with 250 MB of
 * memory. Only root can make one: `false` for others. Takes 9 GB of disk and a few minutes.
 */
export async function huntSmallMemory(keep: Keep): Promise<boolean> {
  const group = limitedGroup();
  if (!group) return false;
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-memory-'));
  const tally = emptyTally();
  try {
    await makeFullSizeCheckpoint(join(folder, 'sd15'), 'f32');
    const start = performance.now();
    const { code, output } = await sdconvertProcess(['convert', '--model-version', 'sd15', '-o', 'out'], {
      cwd: folder,
      within: ['sh', '-c', `echo $$ > ${group.path}/cgroup.procs && exec "$@"`, 'sh'],
    });
    tally.inputs++;
    tally.slowest = performance.now() - start;
    tally.largest = group.most() / 1e6;
    if (code === 0) tally.accepted++;
    else tally.findings.push({ input: 0, what: `it ended with ${code}: ${output}` });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmdirSync(group.path);
  }
  keep(`SD 1.5 in ${MEGABYTES} MB`, tally);
  return true;
}

function limitedGroup(): { readonly path: string; most(): number } | undefined {
  for (const { top, limit, most, swap } of versions) {
    const path = join(top, `sdconvert-hunt-${process.pid}`);
    try {
      mkdirSync(path);
      if (!existsSync(join(path, limit))) throw new Error(`${path} does not limit memory`);
      writeFileSync(join(path, limit), String(MEGABYTES * 1e6));
      if (existsSync(join(path, swap.file))) writeFileSync(join(path, swap.file), String(swap.most));
      return { path, most: () => Number(readFileSync(join(path, most), 'utf8')) };
    } catch {
      if (existsSync(path)) rmdirSync(path);
    }
  }
  return undefined;
}
