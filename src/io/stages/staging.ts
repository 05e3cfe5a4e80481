import { promises as fs } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { remove, rename } from '../patient.ts';
import { disown, hasCode, isAbandoned, isOwn, isStage, LOCK, own, stageName } from './owner.ts';

/**
 * Files and folders are written as stages before they appear. A stage is an entry `.sdc-<owner>-<random>` beside its final
 * path, made exclusively, so that no other name or link is ever written through, and short, so that long final names fit.
 * A killed process leaves stages behind; `settle` removes them, and finishes or undoes an interrupted replacement.
 *
 * A folder's stage holds `to` (the final name), `new` (the folder that grows), `ready` (made when `new` is complete and
 * before anything else is touched) and `old` (what was replaced). Killed at any step, either the old or the new folder
 * is under its name, or `ready` shows that `new` belongs there.
 */

/** A name for a stage of `path`, kept as alive until it is disowned. Nothing is made yet. */
export function claimStage(path: string): string {
  const stage = join(dirname(path), stageName());
  own(stage, path);
  return stage;
}

/** A folder that grows under another name. */
export class FolderStage {
  /** Path to write into. */
  readonly growing: string;
  readonly #stage: string;
  readonly #path: string;

  private constructor(stage: string, path: string) {
    this.#stage = stage;
    this.#path = path;
    this.growing = join(stage, 'new');
  }

  /** Starts one for `path`, whose parent is there. Throws what the system throws. */
  static async start(path: string): Promise<FolderStage> {
    await settle(dirname(path));
    const stage = claimStage(path);
    try {
      await fs.mkdir(stage);
      await fs.writeFile(join(stage, 'to'), basename(resolve(path)), { flag: 'wx' });
      await fs.mkdir(join(stage, 'new'));
    } catch (error) {
      await remove(stage);
      disown(stage);
      throw error;
    }
    return new FolderStage(stage, path);
  }

  /** Moves the folder to its final name, replacing an existing one, which is restored on failure. */
  async appear(): Promise<void> {
    await fs.writeFile(join(this.#stage, 'ready'), '', { flag: 'wx' });
    await replaceBy(this.#stage, this.#path);
    await this.remove();
  }

  /** Leaves nothing of it behind. */
  async remove(): Promise<void> {
    await remove(this.#stage);
    disown(this.#stage);
  }
}

/** Makes a temporary folder; `remove` deletes it, or a later run where this one is killed. */
export async function temporaryFolder(base: string): Promise<{ path: string; remove(): Promise<void> }> {
  await settle(base);
  const path = claimStage(join(base, 'temporary'));
  await fs.mkdir(path, { mode: 0o700 });
  return {
    path,
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

/** Others may put something under the name at the same time: the last one stays, whole. */
async function replaceBy(stage: string, path: string): Promise<void> {
  let replaced: string | undefined;
  for (let turn = 0; ; turn++) {
    const old = join(stage, turn === 0 ? 'old' : `old${turn}`);
    if (await renamed(path, old)) replaced ??= old;
    try {
      return await rename(join(stage, 'new'), path);
    } catch (error) {
      if (turn < MOST_TURNS && isInTheWay(error)) continue;
      if (replaced) await rename(replaced, path).catch(() => {});
      throw error;
    }
  }
}

const MOST_TURNS = 100;

/** Linux and macOS say ENOTEMPTY, others EEXIST or, Windows, EPERM. */
function isInTheWay(error: unknown): boolean {
  return ['ENOTEMPTY', 'EEXIST', 'EPERM'].some((code) => hasCode(error, code));
}

const settled = new Map<string, Promise<boolean>>();

/**
 * Looks once through a folder for stages whose owners are gone: finishes replacements that are ready, removes everything
 * else. Returns whether an entry was restored to its name. Never throws: entries that cannot be removed are left alone.
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
  const stages = (await fs.readdir(folder))
    .filter((name) => isStage(name) && name !== LOCK)
    .map((name) => join(folder, name));
  let hasFinished = false;
  for (const stage of stages) {
    if (isOwn(stage) || !(await isAbandoned(stage))) continue;
    if (await finish(stage, folder)) hasFinished = true;
    await remove(stage);
  }
  return hasFinished;
}

/** Finishes a replacement that was ready, where nothing is under its name. */
async function finish(stage: string, folder: string): Promise<boolean> {
  const name = await fs.readFile(join(stage, 'to'), 'utf8').catch(() => '');
  if (name === '' || name !== basename(name) || name === '..' || name === '.') return false;
  const path = join(folder, name);
  if (await isThere(path)) return false;
  if (await isThere(join(stage, 'ready'))) return renamed(join(stage, 'new'), path);
  return false;
}

async function isThere(path: string): Promise<boolean> {
  return fs.lstat(path).then(
    () => true,
    () => false,
  );
}

/** Renames an entry; `false` when it does not exist. */
export async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
