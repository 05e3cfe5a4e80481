import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for a hunt, which is gone when `remove` is called, and when a signal ends this process. */
export function ownFolder(name: string): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), `sdconvert-${name}-`));
  const clear = (): void => rmSync(path, { recursive: true, force: true });
  const ends = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => {
    // Before those of the commands that run in this process, which only stop what they do.
    const end = (): void => process.exit(128 + constants.signals[signal]);
    process.prependListener(signal, end);
    return () => void process.off(signal, end);
  });
  process.on('exit', clear);
  return {
    path,
    remove() {
      for (const undo of ends) undo();
      process.off('exit', clear);
      clear();
    },
  };
}
