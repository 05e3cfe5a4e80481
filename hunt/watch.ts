import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack } from './corpus.ts';
import { wholeFolder } from './formats/seeds.ts';
import type { Stretch } from './hunt-format.ts';
import { addTo, emptyTally, type Tally } from './tally.ts';
import type { Progress } from './work.ts';

/** A worker that does nothing at all for so long waits for something that does not come, in milliseconds. */
const PATIENCE = 180_000;
/** A worker that is so large is stopped, in bytes. */
const MOST_MEMORY = 1.5e9;
/** Time between two looks at a worker, in milliseconds. */
const PAUSE = 250;

/** Garbage is collected in large pieces, and when the worker asks for it. */
const flags = ['--max-old-space-size=1024', '--min-semi-space-size=8', '--expose-gc'];

/** How to watch. */
interface Watching {
  /** The worker's program. */
  readonly worker: string;
  /** Processor time on one input after which it is stopped: what computes without end does not look at a clock. */
  readonly seconds: number;
}

const usual: Watching = { worker: join(import.meta.dirname, 'worker.ts'), seconds: 10 };

/** Hunts in a process of its own, which may hang or die: that is a finding, and the hunt goes on behind that input. */
export async function watched(
  format: string,
  stretch: Omit<Stretch, 'folder'>,
  watching = usual,
): Promise<Tally> {
  const sum = emptyTally();
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-hunt-'));
  try {
    for (let from = stretch.from; sum.inputs < stretch.inputs && Date.now() < stretch.until; ) {
      const inputs = stretch.inputs - sum.inputs;
      const { progress, ended } = await oneWorker(format, { ...stretch, folder, from, inputs }, watching);
      addTo(sum, progress.tally);
      if (ended === undefined) break;
      if (progress.input === undefined) throw new Error(`the hunt for ${format} did not begin: ${ended}`);
      sum.inputs++;
      sum.findings.push({ input: progress.input, what: ended });
      keepInput(join(folder, 'input'), stretch.findings, `${format}-${stretch.seed}-${progress.input}.json`);
      from = progress.input + 1;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return sum;
}

/** Keeps an input that ended its worker: it still lies where it was read. */
function keepInput(folder: string, findings: string, name: string): void {
  mkdirSync(findings, { recursive: true });
  const files = wholeFolder(folder, /./);
  writeFileSync(join(findings, name), pack(files));
}

async function oneWorker(
  format: string,
  stretch: Stretch,
  { worker: program, seconds: most }: Watching,
): Promise<{ progress: Progress; ended: string | undefined }> {
  mkdirSync(stretch.folder, { recursive: true });
  const worker = spawn(process.execPath, [...flags, program, format, JSON.stringify(stretch)], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let said = '';
  worker.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-4000)));
  let stopped: string | undefined;
  let at = { input: progressIn(stretch.folder).input, since: Date.now(), seconds: 0 };
  const looks = setInterval(() => {
    const { input } = progressIn(stretch.folder);
    const seconds = secondsOf(worker.pid);
    if (input !== at.input) at = { input, since: Date.now(), seconds };
    if (input !== undefined && seconds - at.seconds > most) stopped = `no end after ${most} s`;
    if (Date.now() - at.since > PATIENCE) stopped = `nothing comes in ${PATIENCE / 1000} s`;
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

/** Processor time of a process so far, where Linux tells it (proc_pid_stat(5): fields 14 and 15, in hundredths). */
function secondsOf(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').split(' ');
    return (Number(fields[12]) + Number(fields[13])) / 100;
  } catch {
    return 0;
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
