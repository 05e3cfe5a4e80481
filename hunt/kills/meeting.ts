import { randomUUID } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** Time between two looks for the other, in milliseconds. */
const PAUSE = 2;

/**
 * To be called, and awaited, before each change: the first waits until another process is where this one is, or has ended, which
 * both say in a folder. Otherwise one of two short commands is done before the other has loaded its program.
 */
export function meetingIn(folder: string): () => Promise<void> {
  const sign = join(folder, randomUUID());
  const come = (): void => writeFileSync(sign, '');
  process.on('exit', come);
  let met: Promise<void> | undefined;
  const meet = async (): Promise<void> => {
    come();
    while (readdirSync(folder).length < 2) await wait(PAUSE);
  };
  return () => (met ??= meet());
}
