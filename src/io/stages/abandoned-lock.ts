import { promises as fs } from 'node:fs';
import { remove, renamed } from '../patient.ts';
import { claimStage, disown, isAbandoned, readPlain } from './owner.ts';

/** Who holds a lock. */
export interface Holder {
  readonly owner: string;
  readonly host: string;
  readonly pid: string;
}

/** The holder of a lock in which this text was found. One whose owner is gone is taken away, and nobody holds it. */
export async function holderOf(lock: string, found: string): Promise<Holder | undefined> {
  const holder = readHolder(found);
  if (!(await isAbandoned(lock, holder.owner))) return holder;
  // Of several that find it abandoned one takes it away; who took a younger one gives it back.
  const taken = claimStage(lock);
  if ((await renamed(lock, taken)) && (await readPlain(taken)) !== found)
    await fs.link(taken, lock).catch(() => {});
  await remove(taken);
  disown(taken);
  return undefined;
}

function readHolder(text: string): Holder {
  try {
    const { owner, host, pid } = JSON.parse(text);
    return { owner: String(owner), host: String(host), pid: String(pid) };
  } catch {
    return { owner: '', host: 'a machine that did not say which', pid: '' }; // just being written, or cut short
  }
}
