import { promises as fs } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { goneMeanwhile, isAbsent } from '../disk-errors.ts';
import { remove, rename, renamed } from '../patient.ts';
import { holderOf } from './abandoned-lock.ts';
import {
  claimStage,
  disown,
  hasCode,
  isAbandoned,
  isLock,
  isOwn,
  isStageName,
  own,
  readPlain,
  stageName,
} from './owner.ts';

/**
 * Files and folders are written as stages before they appear. A stage is an entry `.sdc-<owner>-<random>` beside its final
 * path, made exclusively, so that no other name or link is ever written through, and short, so that long final names fit.
 * A killed process leaves stages behind; `settle` removes them, and finishes an interrupted replacement.
 *
 * The stage of folders that appear together holds `new` (the folders that grow, under their final names), `ready` (made when
 * they are complete and before anything else is touched: their names, and what they replace) and `old` (what was replaced).
 * Killed at any step, either nothing was touched, or `ready` says what is left to do.
 */

/** What `ready` holds. */
interface Journal {
  /** Names of the folders that appear; the first appears last. */
  readonly names: readonly string[];
  /** What was there, of these names and of others that are to go: its identity on the disk by its name. */
  readonly replaced: Readonly<Record<string, string>>;
}

/** Folders of one parent that grow under another name and appear together. */
export class FoldersStage {
  readonly #stage: string;
  readonly #folder: string;
  readonly #names: readonly string[];
  readonly #gone: readonly string[];
  #identity: string | undefined;

  private constructor(stage: string, folder: string, names: readonly string[], gone: readonly string[]) {
    this.#stage = stage;
    this.#folder = folder;
    this.#names = names;
    this.#gone = gone;
  }

  /** Starts those of these names in a folder that is there; entries called `gone` go when they appear. Throws what the system throws. */
  static async start(
    folder: string,
    names: readonly string[],
    gone: readonly string[] = [],
  ): Promise<FoldersStage> {
    await settle(folder);
    const stage = join(folder, stageName());
    own(stage, folder);
    const folders = new FoldersStage(stage, folder, names, gone);
    try {
      await fs.mkdir(stage);
      folders.#identity = await identityOf(stage);
      for (const made of ['old', 'new']) await fs.mkdir(join(stage, made));
      for (const name of names) await fs.mkdir(folders.growing(name));
    } catch (error) {
      await folders.remove();
      throw error;
    }
    return folders;
  }

  /** Path to write the folder of a name into. */
  growing(name: string): string {
    return join(this.#stage, 'new', name);
  }

  /**
   * Moves the folders to their final names, replacing what is there, which is restored on failure. Throws `OutputBusyError` where
   * another run took this one for dead and removed them.
   */
  async appear(): Promise<void> {
    await this.#requireOwn();
    const replaced: Record<string, string> = {};
    for (const name of [...this.#names, ...this.#gone]) {
      const identity = await identityOf(join(this.#folder, name));
      if (identity !== undefined) replaced[name] = identity;
    }
    await writeJournal(this.#stage, { names: this.#names, replaced });
    const moves: [from: string, to: string][] = [];
    const move = async (from: string, to: string): Promise<void> => {
      if (await renamed(from, to)) moves.push([from, to]);
    };
    try {
      for (const name of Object.keys(replaced))
        await move(join(this.#folder, name), join(this.#stage, 'old', name));
      for (const name of this.#names.toReversed()) await this.#place(name, move);
    } catch (error) {
      for (const [from, to] of moves.toReversed()) await rename(to, from).catch(() => {});
      throw error;
    }
    await this.remove();
  }

  /** Moves the one folder to its final name unless another with something in it is there; says whether it did. */
  async appearOnce(): Promise<boolean> {
    await this.#requireOwn();
    const [name = ''] = this.#names;
    const isFirst = await rename(this.growing(name), join(this.#folder, name)).then(
      () => true,
      (error: unknown) => {
        if (isInTheWay(error)) return false;
        throw error;
      },
    );
    await this.remove();
    return isFirst;
  }

  /** Others may put something under the name at the same time: the last one stays, whole. */
  async #place(name: string, move: (from: string, to: string) => Promise<void>): Promise<void> {
    const path = join(this.#folder, name);
    for (let turn = 1; ; turn++) {
      try {
        return await move(this.growing(name), path);
      } catch (error) {
        if (turn > MOST_TURNS || !isInTheWay(error)) throw error;
        await move(path, join(this.#stage, `old${turn}`));
      }
    }
  }

  /** What was written after the stage was removed has made a folder of its name again: only a part is in it. */
  async #requireOwn(): Promise<void> {
    if ((await identityOf(this.#stage)) !== this.#identity)
      throw goneMeanwhile(join(this.#folder, this.#names[0] ?? ''));
  }

  /** Leaves nothing of it behind. */
  async remove(): Promise<void> {
    await clear(this.#stage);
    disown(this.#stage);
  }
}

/** Without its journal nothing of a stage is ever finished: half of it may be gone then. */
async function clear(stage: string): Promise<void> {
  if (await isRealFolder(stage))
    await fs.unlink(join(stage, READY)).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error;
    });
  await remove(stage);
}

const READY = 'ready';

/** It is on the disk before anything is moved. */
async function writeJournal(stage: string, journal: Journal): Promise<void> {
  const growing = join(stage, 'growing');
  await fs.writeFile(growing, JSON.stringify(journal), { flag: 'wx', flush: true });
  await rename(growing, join(stage, READY));
}

/**
 * `undefined` in a stage that is not ready, and where its names or links lead out of its folder. Throws where there is one that
 * cannot be read now: somebody else will finish it.
 */
async function readJournal(stage: string): Promise<Journal | undefined> {
  const folders = [stage, join(stage, 'new'), join(stage, 'old')];
  if ((await Promise.all(folders.map(isRealFolder))).includes(false)) return undefined;
  const ready = join(stage, READY);
  const text = await readPlain(ready);
  if (text === undefined && (await fs.lstat(ready).catch(() => undefined))?.isFile())
    throw new Error(`${ready} cannot be read`);
  try {
    const { names, replaced } = JSON.parse(text ?? '');
    const isPlain = (name: unknown) =>
      typeof name === 'string' && !['', '.', '..'].includes(name) && basename(name) === name;
    const isJournal = Array.isArray(names) && [...names, ...Object.keys(replaced)].every(isPlain);
    return isJournal ? { names, replaced } : undefined;
  } catch {
    return undefined;
  }
}

/** What tells an entry from any other that had its name; `undefined` where there is none. */
async function identityOf(path: string): Promise<string | undefined> {
  return fs.lstat(path, { bigint: true }).then(
    ({ ino, birthtimeNs }) => `${ino} ${birthtimeNs}`,
    () => undefined,
  );
}

/** A name for a temporary folder, to be made; `remove` deletes it, or a later run where this one is killed. */
export async function claimTemporary(
  base: string,
): Promise<{ readonly path: string; make(): Promise<void>; remove(): Promise<void> }> {
  await settle(base);
  const path = claimStage(join(base, 'temporary'));
  return {
    path,
    make: () => fs.mkdir(path, { mode: 0o700 }),
    async remove() {
      await remove(path);
      disown(path);
    },
  };
}

/** Removes a folder atomically: under its name it is complete or gone. Throws what the system throws. */
export async function removeWhole(path: string): Promise<void> {
  const stage = claimStage(path);
  try {
    await fs.mkdir(stage);
    await rename(path, join(stage, 'old'));
  } finally {
    await remove(stage);
    disown(stage);
  }
}

const MOST_TURNS = 100;

/** Linux and macOS say ENOTEMPTY, others EEXIST or, Windows, EPERM. */
function isInTheWay(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'EPERM'].some((code) => hasCode(error, code));
}

const settled = new Map<string, Promise<boolean>>();

/**
 * Looks once through a folder for stages and locks whose owners are gone: finishes replacements that are ready, removes
 * everything else. Returns whether an entry was restored to its name. Never throws: entries that cannot be removed are left alone.
 */
export function settle(folder: string): Promise<boolean> {
  const place = resolve(folder);
  const known = settled.get(place);
  if (known) return known;
  const settling = settleAll(place).catch(() => false);
  settled.set(place, settling);
  // What was found is news once.
  void settling.then(() => settled.set(place, Promise.resolve(false)));
  return settling;
}

async function settleAll(folder: string): Promise<boolean> {
  const names = await fs.readdir(folder);
  const stages = names.filter(isStageName).map((name) => join(folder, name));
  let hasFinished = false;
  for (const stage of stages) if (await settleStage(stage, folder).catch(() => false)) hasFinished = true;
  for (const lock of names.filter(isLock).map((name) => join(folder, name))) {
    if (isOwn(lock) || !(await mayBeSettled(lock))) continue;
    const text = await readPlain(lock);
    if (text !== undefined) await holderOf(lock, text);
  }
  return hasFinished;
}

/** Finishes a stage whose owner is gone, and removes it; says whether an entry was restored. Throws what the system throws. */
async function settleStage(stage: string, folder: string): Promise<boolean> {
  if (isOwn(stage) || !(await isAbandoned(stage)) || !(await mayBeSettled(stage))) return false;
  const hasFinished = await finish(stage, folder);
  await clear(stage);
  return hasFinished;
}

/**
 * Whether whoever made a stage may change the folder that it is in. In a folder like /tmp, where everybody may add entries
 * but only remove their own, a stage of somebody else would have us move the entries of others.
 */
async function mayBeSettled(stage: string): Promise<boolean> {
  const folder = await fs.stat(dirname(stage));
  return (
    (folder.mode & STICKY) === 0 || [folder.uid, process.geteuid?.()].includes((await fs.lstat(stage)).uid)
  );
}

const STICKY = 0o1000;

/** Whether an entry is a folder: a link to one would lead out of the place that it is in. */
async function isRealFolder(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      if (isAbsent(error)) return false;
      throw error;
    },
  );
}

/** Finishes a replacement that was ready. What others put under a name since then stays. */
async function finish(stage: string, folder: string): Promise<boolean> {
  const journal = await readJournal(stage);
  if (!journal) return false;
  let hasFinished = false;
  for (const [name, identity] of Object.entries(journal.replaced)) {
    const path = join(folder, name);
    if ((await identityOf(path)) === identity && (await renamed(path, join(stage, 'old', name))))
      hasFinished = true;
  }
  for (const name of journal.names.toReversed()) {
    const path = join(folder, name);
    if ((await identityOf(path)) === undefined && (await renamed(join(stage, 'new', name), path)))
      hasFinished = true;
  }
  return hasFinished;
}
