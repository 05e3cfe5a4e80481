/**
 * Ctrl-C, a polite kill and a closed terminal stop the work, which then leaves nothing half-written. The second time the
 * process ends at once, by the signal itself: to leave in an orderly way would wait for (or crash) what computes natively.
 */
export function stopOnInterrupt(): AbortSignal {
  const stop = new AbortController();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) {
    process.on(signal, () => {
      if (!stop.signal.aborted) return stop.abort();
      if (process.stderr.isTTY) process.stderr.write(SHOW_CURSOR);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal); // a shell says 128 + its number: 130 after Ctrl-C
    });
  }
  return stop.signal;
}

/** A list that is redrawn hides it. */
const SHOW_CURSOR = '\x1b[?25h\n';
