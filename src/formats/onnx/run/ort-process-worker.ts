import { SHARE_ENV, Worker } from 'node:worker_threads';
import { peakMemory } from '../../../io/peak-memory.ts';
import { scriptBeside } from '../../../io/script-beside.ts';
import type { OrtReply, OrtRequest, OrtWorkerData } from './ort-worker.ts';

/**
 * A process that `ort-host.ts` starts: the worker thread of one session, with nothing else beside it, and with memory that the
 * system has back when it ends. What it is sent goes to the thread, and what the thread says goes back. Ctrl-C, which a terminal sends
 * to both processes, is for the other to understand; when that one is gone, this one ends at once, even while it computes.
 */

/** What the process says: what its thread does, and in the end how much memory it had at most, in bytes. */
export type ProcessReply = OrtReply | { readonly kind: 'ended'; readonly peakBytes: number };

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Node would open its inspector, with which anybody on the machine could run code in this process.
process.on('SIGUSR1', () => {});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

process.once('message', (workerData: OrtWorkerData) => {
  const script = scriptBeside('ort-worker', import.meta.url);
  const thread = new Worker(script, { workerData, env: SHARE_ENV });
  process.on('message', (request: OrtRequest) => thread.postMessage(request));
  thread.on('message', tell);
  thread.on('error', (error) => tell({ kind: 'failed', at: 'crash', message: String(error) }));
  thread.on('exit', () => tell({ kind: 'ended', peakBytes: peakMemory() }, end));
});

function tell(reply: ProcessReply, onSent: () => void = () => {}): void {
  process.send?.(reply, undefined, undefined, onSent);
}

/** Lets the process end. */
function end(): void {
  process.removeAllListeners('disconnect');
  process.disconnect();
}
