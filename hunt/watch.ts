import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Stretch } from './hunt-format.ts';
import { addTo, emptyTally, type Tally } from './tally.ts';
import type { Progress } from './worker.ts';

/** A worker that reads one input for so long is stopped, in milliseconds: what computes without end does not look at a clock. */
const PATIENCE = 20_000;
/** A worker that is so large is stopped, in bytes. */
const MOST_MEMORY = 1.5e9;
/** Time between two looks at a worker, in milliseconds. */
const PAUSE = 250;

/** Hunts in a process of its own, which may hang or die: that is a finding, and the hunt goes on behind that input. */
export async function watched(format: string, stretch: Omit<Stretch, 'folder'>): Promise<Tally> {
  const sum = emptyTally();
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-hunt-'));
  try {
    for (let from = stretch.from; sum.inputs < stretch.inputs && Date.now() < stretch.until; ) {
      const inputs = stretch.inputs - sum.inputs;
      const { progress, ended } = await oneWorker(format, { ...stretch, folder, from, inputs });
      addTo(sum, progress.tally);
      if (ended === undefined) break;
      if (progress.input === undefined) throw new Error(`the hunt for ${format} did not begin: ${ended}`);
      sum.inputs++;
      sum.findings.push({ input: progress.input, what: ended });
      from = progress.input + 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return sum;
}

async function oneWorker(
  format: string,
  stretch: Stretch,
): Promise<{ progress: Progress; ended: string | undefined }> {
  mkdirSync(stretch.folder, { recursive: true });
  const worker = spawn(
    process.execPath,
    ['--max-old-space-size=1024', join(import.meta.dirname, 'worker.ts'), format, JSON.stringify(stretch)],
    { stdio: ['ignore', 'inherit', 'pipe'] },
  );
  let said = '';
  worker.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-4000)));
  let stopped: string | undefined;
  let at: { input: number | undefined; since: number } = { input: undefined, since: Date.now() };
  const looks = setInterval(() => {
    const { input } = progressIn(stretch.folder);
    if (input !== at.input) at = { input, since: Date.now() };
    else if (Date.now() - at.since > PATIENCE && input !== undefined)
      stopped = `no end after ${PATIENCE / 1000} s`;
    if (bytesOf(worker.pid) > MOST_MEMORY) stopped = `more than ${MOST_MEMORY / 1e9} GB`;
    if (stopped !== undefined) worker.kill('SIGKILL');
  }, PAUSE);
  const code = await new Promise((done) => worker.on('close', (status, signal) => done(status ?? signal)));
  clearInterval(looks);
  const ended = stopped ?? (code === 0 ? undefined : `the process ended with ${code}: ${said}`);
  return { progress: progressIn(stretch.folder), ended };
}

function progressIn(folder: string): Progress {
  try {
    return JSON.parse(readFileSync(join(folder, 'progress'), 'utf8').split('\n', 1)[0] ?? '');
  } catch {
    return { tally: emptyTally() }; // not begun, or just being written
  }
}

/** Memory of a process, where Linux tells it. */
function bytesOf(pid: number | undefined): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096;
  } catch {
    return 0;
  }
}
