import { type Context, type Need, type ProgressEvent, throwIfInterrupted } from '../context.ts';
import { withFetch } from '../hub/hub-options.ts';
import { carried } from '../io/carried-error.ts';
import { peakMemory } from '../io/peak-memory.ts';
import type { IdentifiedItem } from './item.ts';
import type { Order, Outcome, Report } from './run-item.ts';
import { checkItem, convertItem, fetchItem, type Site } from './steps.ts';

/**
 * Runs in its own process: the steps of the one item that it is told. It ends when it is told to stop, and when who started it
 * is gone; Ctrl-C, which a terminal sends to both, is for the other to understand.
 */
const stopping = new AbortController();
const stop = (): void => stopping.abort();
process.on('SIGINT', () => {});
process.on('SIGTERM', stop);
process.on('SIGHUP', stop);
// Node would open its inspector, with which anybody on the machine could run code in this process.
process.on('SIGUSR1', () => {});
process.on('disconnect', () => {
  if (stopping.signal.aborted) process.kill(process.pid, 'SIGKILL'); // a second Ctrl-C
  stop();
});

let go: () => void = () => {};
process.on('message', (order: Order) => {
  if (order.type === 'stop') stop();
  if (order.type === 'go') go();
  if (order.type === 'run')
    void run(order.item, order.site).then(
      (outcome) => end({ type: 'done', outcome }),
      (error: unknown) => end({ type: 'failed', error: carried(error) }),
    );
});

async function run(item: IdentifiedItem, given: Site): Promise<Outcome> {
  const site = { ...given, hub: withFetch(given.hub) };
  const start = performance.now();
  let waited = 0;
  const admit = async (need: Need): Promise<void> => {
    const asked = performance.now();
    tell({ type: 'need', need });
    await Promise.race([
      new Promise<void>((resolve) => {
        go = resolve;
      }),
      new Promise((resolve) => stopping.signal.addEventListener('abort', resolve, { once: true })),
    ]);
    throwIfInterrupted(stopping.signal);
    waited += performance.now() - asked;
  };
  const context: Context = { signal: stopping.signal, onProgress: paced(tell), admit };
  await fetchItem(item, site, context);
  const { bytes } = await convertItem(item, site, context);
  const quality = await checkItem(item, site, context);
  const seconds = (performance.now() - start - waited) / 1000;
  return { bytes, quality, seconds, memoryBytes: peakMemory() };
}

function tell(report: Report): void {
  if (process.connected) process.send?.(report);
}

/** Sends the last report, and lets the process end. */
function end(report: Report): void {
  if (!process.connected) return; // who started it is gone
  process.send?.(report, undefined, {}, () => {
    process.removeAllListeners('disconnect');
    process.disconnect();
  });
}

/** Milliseconds between two reports of progress: blocks come faster than anybody reads. */
const PACE = 200;

/** Passes notes on, and progress now and then; stages end within the item's own. */
function paced(send: (report: Report) => void): (event: ProgressEvent) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (event) => {
    if (event.type === 'stage') return;
    if (event.type === 'progress') {
      if (performance.now() - last < PACE) return;
      last = performance.now();
    }
    send({ type: 'event', event });
  };
}
