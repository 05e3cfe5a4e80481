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
      if (process.stderr.isTTY) process.stderr.write(SHOW_CURSOR);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal); // a shell reports 128 + its number: 130 after Ctrl-C
    });
  }
  // Node would open its inspector, with which anybody on the machine could run code in this process.
  process.on('SIGUSR1', () => {});
  return stop.signal;
}

/** Shows the cursor, which the live list hides. */
const SHOW_CURSOR = '\x1b[?25h\n';
