import { Writable } from 'node:stream';

/**
 * Aborts the work on Ctrl-C, SIGTERM and a closed terminal, so that nothing is left half-written. A second signal kills the
 * process at once, because an orderly exit would wait for native code that is computing, or crash it.
 */
export function stopOnInterrupt(): AbortSignal {
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) {
    process.on(signal, () => {
      if (!stop.signal.aborted) return stop.abort();
      if (process.stderr.isTTY) writeAtOnce(SHOW_CURSOR);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal); // a shell reports 128 + its number: 130 after Ctrl-C
    });
  }
  // Node would open its inspector, with which anybody on the machine could run code in this process.
  process.on('SIGUSR1', () => {});
  return stop.signal;
}

/** Shows the cursor, which the live list hides, in a row of its own. */
const SHOW_CURSOR = '\x1b[?25h\n';
const HIDE_CURSOR = '\x1b[?25l';

/** Gives a stopped list's terminal back with its cursor (Ctrl-Z) until it goes on; the result ends that. */
export function showCursorWhileStopped(): () => void {
  const stop = (): void => {
    writeAtOnce(SHOW_CURSOR);
    process.kill(process.pid, 'SIGSTOP'); // what the signal does where nobody listens
  };
  const goOn = (): void => writeAtOnce(HIDE_CURSOR);
  process.on('SIGTSTP', stop).on('SIGCONT', goOn);
  return () => void process.off('SIGTSTP', stop).off('SIGCONT', goOn);
}

/** Writes to the terminal itself: the list takes the place of `process.stderr.write`, and keeps back what others write until it ends. */
function writeAtOnce(text: string): void {
  Writable.prototype.write.call(process.stderr, text, 'utf8');
}
