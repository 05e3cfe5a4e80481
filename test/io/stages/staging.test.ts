import { execFileSync } from 'node:child_process';
import { promises as fs } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { growFile } from '../../../src/io/shared-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

type Disk = typeof import('../../../src/io/disk.ts') &
  typeof import('../../../src/io/create-folders.ts') &
  typeof import('../../../src/io/temporary-folder.ts');

const at = temporaryFolder();

/** A process of its own: nothing of what an earlier one knew. */
async function newProcess(): Promise<Disk> {
  vi.resetModules();
  return {
    ...(await import('../../../src/io/disk.ts')),
    ...(await import('../../../src/io/create-folders.ts')),
    ...(await import('../../../src/io/temporary-folder.ts')),
  };
}

/** Every call that changes the disk; one that is refused is as if the process had been killed before it. */
const calls = ['open', 'mkdir', 'writeFile', 'rename', 'rm', 'rmdir', 'unlink', 'link', 'copyFile'] as const;
const handleCalls = ['write', 'datasync', 'close'] as const;

/** Kills the process before its call number `fatal`: that one and all after it do nothing. Gives the count of calls made. */
function killBefore(fatal: number): { readonly made: () => number } {
  let made = 0;
  const step = <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    ((...args: A): Promise<R> => {
      made++;
      return made >= fatal ? Promise.reject(new Error('killed')) : call(...args);
    }) as never;
  for (const name of calls) {
    const real = fs[name] as (...args: unknown[]) => Promise<unknown>;
    vi.spyOn(fs, name).mockImplementation(
      step(async (...args: unknown[]) => {
        const result = await real.apply(fs, args);
        if (name === 'open') {
          const handle = result as fs.FileHandle;
          handles.push(handle.close.bind(handle));
          for (const each of handleCalls) {
            const own = handle[each].bind(handle) as (...args: unknown[]) => Promise<unknown>;
            vi.spyOn(handle, each).mockImplementation(step(own));
          }
        }
        return result;
      }),
    );
  }
  return { made: () => made };
}

const handles: (() => Promise<void>)[] = [];

/** The dead leave their stages behind, and their process number means nobody. */
async function buried(): Promise<void> {
  vi.restoreAllMocks();
  for (const close of handles.splice(0)) await close().catch(() => {});
  vi.spyOn(process, 'kill').mockImplementation(() => {
    throw Object.assign(new Error('no such process'), { code: 'ESRCH' });
  });
}

async function contents(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await fs.readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) found[path.slice(folder.length + 1)] = await fs.readFile(path, 'utf8');
  }
  return found;
}

let round = 0;
beforeEach(() => void round++);
afterEach(() => vi.restoreAllMocks());

const old = { 'model/a': 'old a', 'model/b': 'old b' };
const fresh = { 'model/a': 'new a' };

const works: Readonly<
  Record<string, { before: object; after: object; work(disk: Disk, at: string): Promise<void> }>
> = {
  'a folder is replaced': {
    before: old,
    after: fresh,
    work: (disk, place) =>
      disk.createFolder(join(place, 'model'), (growing) => disk.writeText(join(growing, 'a'), 'new a')),
  },
  'a folder is made where nothing was': {
    before: {},
    after: fresh,
    work: (disk, place) =>
      disk.createFolder(join(place, 'model'), (growing) => disk.writeText(join(growing, 'a'), 'new a')),
  },
  'folders are replaced together, and others go': {
    before: { 'model_chunk1/a': 'old a', 'model_chunk2/b': 'old b', 'model_chunk3/c': 'old c' },
    after: { 'model_chunk1/a': 'new a', 'model_chunk2/b': 'new b' },
    work: (disk, place) =>
      disk.createFolders(
        [1, 2].map((chunk) => join(place, `model_chunk${chunk}`)),
        async ([first = '', second = '']) => {
          await disk.writeText(join(first, 'a'), 'new a');
          await disk.writeText(join(second, 'b'), 'new b');
        },
        [join(place, 'model_chunk3')],
      ),
  },
  'a file is replaced': {
    before: { file: 'old' },
    after: { file: 'new' },
    work: (disk, place) => disk.writeText(join(place, 'file'), 'new'),
  },
  'a file is copied over another': {
    before: { file: 'old', from: 'new' },
    after: { file: 'new', from: 'new' },
    work: (disk, place) => disk.copyFile(join(place, 'from'), join(place, 'file')),
  },
  'a folder is removed': {
    before: old,
    after: {},
    work: (disk, place) => disk.removePath(join(place, 'model')),
  },
};

describe.each(Object.entries(works))('killed while %s', (_, { before, after, work }) => {
  test('at any call, the old or the new is there, whole, and a rerun finishes and leaves nothing else', async () => {
    for (let fatal = 1; ; fatal++) {
      const place = at(`round ${round}`, `killed before ${fatal}`);
      await fs.mkdir(place, { recursive: true });
      for (const [name, text] of Object.entries(before)) {
        await fs.mkdir(dirname(join(place, name)), { recursive: true });
        await fs.writeFile(join(place, name), text);
      }

      const first = await newProcess();
      const { made } = killBefore(fatal);
      const ended = await work(first, place).then(
        () => 'done',
        () => 'killed',
      );
      const survived = made() < fatal;
      await buried();

      const second = await newProcess();
      await second.exists(join(place, 'model')); // the first look that any command takes
      await second.listFolder(place);
      const found = await contents(place);
      expect([before, after], `killed before call ${fatal}`).toContainEqual(found);
      if (ended === 'done') expect(found).toEqual(after);
      await work(second, place);
      expect(await contents(place), `rerun after a kill before call ${fatal}`).toEqual(after);
      vi.restoreAllMocks();
      if (!survived) continue;
      expect(fatal).toBeGreaterThan(2); // it was killed several times before
      break;
    }
  });
});

describe('what others have under way', () => {
  test('is not swept, listed or taken for a result while they live', async () => {
    const [mine, theirs] = [await newProcess(), await newProcess()];
    await mine.createFolder(at(`live ${round}`, 'model'), async (growing) => {
      await mine.writeText(join(growing, 'a'), 'mine');
      expect(await theirs.listFolder(at(`live ${round}`))).toEqual([]);
    });
    expect(await contents(at(`live ${round}`))).toEqual({ 'model/a': 'mine' });
  });

  test('of another machine is swept only after ten minutes without a sign of life', async () => {
    const stage = at(`far ${round}`, '.sdc-zzzzzz1-0123456789ab');
    await fs.mkdir(join(stage, 'new'), { recursive: true });
    await (await newProcess()).listFolder(at(`far ${round}`));
    expect(await fs.readdir(at(`far ${round}`))).toHaveLength(1);
    const before = new Date(Date.now() - 11 * 60_000);
    await fs.utimes(stage, before, before);
    await (await newProcess()).listFolder(at(`far ${round}`));
    expect(await fs.readdir(at(`far ${round}`))).toEqual([]);
  });

  test('a planted name that leads elsewhere is finished into its own folder or not at all', async () => {
    const stage = at(`planted ${round}`, 'here', '.sdc-zzzzzz1-0123456789ab');
    await fs.mkdir(join(stage, 'new'), { recursive: true });
    await fs.mkdir(join(stage, 'outside')); // new/../outside
    await fs.writeFile(join(stage, 'ready'), JSON.stringify({ names: ['../outside'], replaced: {} }));
    const before = new Date(Date.now() - 11 * 60_000);
    await fs.utimes(stage, before, before);
    await (await newProcess()).listFolder(at(`planted ${round}`, 'here'));
    expect(await fs.readdir(at(`planted ${round}`))).toEqual(['here']);
  });

  test('a planted link in the place of a stage or of a part of it leads nowhere', async () => {
    const [folder, home] = [at(`links ${round}`, 'here'), at(`links ${round}`, 'home')];
    const before = new Date(Date.now() - 11 * 60_000);
    for (const part of ['new', 'old']) {
      const stage = join(folder, `.sdc-zzzzzz1-${part === 'new' ? 'aaaaaaaaaaaa' : 'bbbbbbbbbbbb'}`);
      await fs.mkdir(stage, { recursive: true });
      await fs.mkdir(join(home, part), { recursive: true });
      await fs.writeFile(join(home, part, 'key'), 'secret');
      for (const each of ['new', 'old'])
        await (each === part ? fs.symlink(join(home, each), join(stage, each)) : fs.mkdir(join(stage, each)));
      const { ino, birthtimeNs } = await fs.lstat(home, { bigint: true });
      const replaced = { home: `${ino} ${birthtimeNs}` };
      await fs.writeFile(join(stage, 'ready'), JSON.stringify({ names: ['key'], replaced }));
      await fs.utimes(stage, before, before);
    }
    await fs.writeFile(join(home, 'ready'), 'mine');
    const link = join(folder, '.sdc-zzzzzz1-cccccccccccc');
    await fs.symlink(home, link);
    await fs.lutimes(link, before, before);
    await (await newProcess()).listFolder(folder);
    expect(await fs.readdir(folder)).toEqual([]);
    expect(await contents(home)).toEqual({ 'new/key': 'secret', 'old/key': 'secret', ready: 'mine' });
  });

  test('of another user is left alone where everybody may add entries, as in /tmp', async () => {
    const folder = at(`sticky ${round}`);
    const stage = join(folder, '.sdc-zzzzzz1-0123456789ab');
    for (const part of ['new', 'old']) await fs.mkdir(join(stage, part), { recursive: true });
    await fs.writeFile(join(folder, 'precious'), 'of others');
    const { ino, birthtimeNs } = await fs.lstat(join(folder, 'precious'), { bigint: true });
    const replaced = { precious: `${ino} ${birthtimeNs}` };
    await fs.writeFile(join(stage, 'ready'), JSON.stringify({ names: [], replaced }));
    const before = new Date(Date.now() - 11 * 60_000);
    await fs.utimes(stage, before, before);
    await fs.chmod(folder, 0o1777);
    const found = await fs.stat(folder);
    vi.spyOn(process, 'geteuid').mockReturnValue(found.uid + 1);
    vi.spyOn(fs, 'stat').mockResolvedValue(Object.assign(found, { uid: found.uid + 2 }));
    await (await newProcess()).listFolder(folder);
    expect(await fs.readdir(folder)).toContain('precious');
  });

  test('a file that only begins like one of ours stays', async () => {
    await fs.mkdir(at(`alike ${round}`));
    await fs.writeFile(at(`alike ${round}`, '.sdc-notes'), 'mine');
    const before = new Date(Date.now() - 11 * 60_000);
    await fs.utimes(at(`alike ${round}`, '.sdc-notes'), before, before);
    await (await newProcess()).listFolder(at(`alike ${round}`));
    expect(await fs.readdir(at(`alike ${round}`))).toEqual(['.sdc-notes']);
  });

  test('what somebody put under the name since then is not replaced by what a killed run had ready', async () => {
    const folder = at(`since ${round}`);
    const place = join(folder, 'model');
    const write = (disk: Disk, text: string) =>
      disk.createFolder(place, (growing) => disk.writeText(join(growing, 'a'), text));
    await write(await newProcess(), 'old');
    const killed = await newProcess();
    let renames = 0;
    const rename = fs.rename;
    vi.spyOn(fs, 'rename').mockImplementation((from, to) =>
      // The file and the journal; then it is gone.
      ++renames > 2 ? new Promise(() => {}) : rename(from, to),
    );
    void write(killed, 'killed');
    await vi.waitFor(() => expect(renames).toBe(3));
    vi.restoreAllMocks();
    await write(await newProcess(), 'since');
    await buried();
    const later = await newProcess();
    expect(await later.listFolder(folder)).toEqual(['model']);
    expect(await contents(folder)).toEqual({ 'model/a': 'since' });
  });

  test('under the same name: the last to finish is there, whole', async () => {
    const disks = await Promise.all(Array.from({ length: 6 }, newProcess));
    const place = at(`race ${round}`, 'model');
    await Promise.all(
      disks.map((disk, index) =>
        disk.createFolder(place, async (growing) => {
          for (const name of ['a', 'b']) await disk.writeText(join(growing, name), `of ${index}`);
        }),
      ),
    );
    const { 'model/a': a, 'model/b': b, ...others } = await contents(at(`race ${round}`));
    expect(a).toBe(b);
    expect(others).toEqual({});
  });
});

test('a name as long as the disk allows can be written and replaced', async () => {
  const disk = await newProcess();
  const name = 'n'.repeat(255);
  for (const text of ['first', 'second']) {
    await disk.writeText(at(`long ${round}`, name), text);
    await disk.createFolder(at(`long ${round}`, `f${name.slice(1)}`), (growing) =>
      disk.writeText(join(growing, name), text),
    );
  }
  expect(await disk.readText(at(`long ${round}`, `f${name.slice(1)}`, name))).toBe('second');
});

test.each([
  ['a link to a file', (path: string, victim: string) => fs.symlink(victim, path)],
  ['a second name of a file', (path: string, victim: string) => fs.link(victim, path)],
  ['a link to itself', (path: string) => fs.symlink(path, path)],
  ['a pipe that nobody reads', async (path: string) => void execFileSync('mkfifo', [path])],
])('%s where something incomplete goes on growing is replaced, not followed', async (what, plant) => {
  const disk = await newProcess();
  const [victim, path] = [at(`grown ${round}`, what, 'victim'), at(`grown ${round}`, what, 'x.incomplete')];
  await disk.writeText(victim, 'precious');
  await plant(path, victim);
  const file = await growFile(path);
  expect(file.size).toBe(0);
  await file.write(new TextEncoder().encode('new'), 0);
  await file.close();
  expect([await disk.readText(path), await disk.readText(victim)]).toEqual(['new', 'precious']);
});

describe('a run that was halted for so long that another took it for dead', () => {
  /** Nothing was heard for eleven minutes of what has no final name yet. */
  async function silence(folder: string): Promise<void> {
    const before = new Date(Date.now() - 11 * 60_000);
    for (const name of await fs.readdir(folder))
      if (name.startsWith('.sdc-')) await fs.utimes(join(folder, name), before, before);
  }

  test('does not make a part of its folder appear', async () => {
    const [halted, other] = [await newProcess(), await newProcess()];
    const folder = at(`halted ${round}`);
    await halted.makeFolder(join(folder, 'model'));
    await halted.writeText(join(folder, 'model', 'a'), 'old a');
    const making = halted.createFolder(join(folder, 'model'), async (growing) => {
      await halted.writeText(join(growing, 'a'), 'new a');
      await silence(folder);
      await other.listFolder(folder);
      await halted.writeText(join(growing, 'b'), 'new b');
    });
    await expect(making).rejects.toThrow('could not be completed: what was written of it is gone');
    expect(await contents(folder)).toEqual({ 'model/a': 'old a' });
    expect(await fs.readdir(folder)).toEqual(['model']);
  });

  test('says so where its file is gone', async () => {
    const [halted, other] = [await newProcess(), await newProcess()];
    const folder = at(`halted file ${round}`);
    const file = await halted.createFile(join(folder, 'a'));
    await silence(folder);
    await other.listFolder(folder);
    await expect(file.close()).rejects.toThrow('could not be completed: what was written of it is gone');
    await file.discard();
    expect(await fs.readdir(folder)).toEqual([]);
  });

  test('leaves the lock to who holds it by now', async () => {
    const [halted, other, third] = [await newProcess(), await newProcess(), await newProcess()];
    const folder = at(`halted lock ${round}`);
    await halted.makeFolder(folder);
    const lock = await halted.lockOutput(folder);
    await silence(folder);
    // Of the same process number, as all of this test are.
    vi.spyOn(process, 'pid', 'get').mockReturnValue(1);
    const taken = await other.lockOutput(folder);
    vi.restoreAllMocks();
    await lock.close();
    await expect(third.lockOutput(folder)).rejects.toThrow('another run is writing into');
    await taken.close();
  });
});

test('a replacement that is ready and cannot be read now is left to who can', async () => {
  const folder = at(`unread ${round}`);
  const stage = join(folder, '.sdc-zzzzzz1-0123456789ab');
  for (const part of ['new', 'old']) await fs.mkdir(join(stage, part), { recursive: true });
  await fs.mkdir(join(stage, 'new', 'model'));
  await fs.writeFile(join(stage, 'new', 'model', 'a'), 'new a');
  await fs.writeFile(join(stage, 'ready'), JSON.stringify({ names: ['model'], replaced: {} }));
  const before = new Date(Date.now() - 11 * 60_000);
  await fs.utimes(stage, before, before);
  const poor = await newProcess();
  vi.spyOn(fs, 'open').mockRejectedValue(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
  expect(await poor.listFolder(folder)).toEqual([]);
  vi.restoreAllMocks();
  await (await newProcess()).listFolder(folder);
  expect(await contents(folder)).toEqual({ 'model/a': 'new a' });
});

describe('a folder that one run writes into', () => {
  test('is refused to another, by name, and free again afterwards', async () => {
    const [first, second] = [await newProcess(), await newProcess()];
    const folder = at(`locked ${round}`, 'output');
    await first.whileLocked(folder, async () => {
      const refused = second.whileLocked(folder, async () => 'never');
      await expect(refused).rejects.toThrow(
        `another run is writing into ${folder}: process ${process.pid} on `,
      );
      expect(await second.listFolder(folder)).toEqual([]);
    });
    expect(await second.exists(folder)).toBe(false); // made for nothing
    expect(await second.whileLocked(folder, async () => 'done')).toBe('done');
  });

  test('is not made where it cannot be locked', async () => {
    const disk = await newProcess();
    vi.spyOn(fs, 'link').mockRejectedValue(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
    vi.spyOn(fs, 'writeFile').mockRejectedValue(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
    await expect(disk.lockOutput(at(`unlocked ${round}`, 'output'))).rejects.toThrow('too many files');
    vi.restoreAllMocks();
    expect(await disk.exists(at(`unlocked ${round}`))).toBe(false);
  });

  test('is taken over from a run that was killed', async () => {
    const folder = at(`orphaned ${round}`);
    const first = await newProcess();
    void first.whileLocked(folder, () => new Promise(() => {}));
    await vi.waitFor(async () => expect(await fs.readdir(folder)).toEqual(['.sdc-lock']));
    await buried();
    const second = await newProcess();
    expect(await second.whileLocked(folder, async () => 'done')).toBe('done');
  });

  test('is free at once after a kill at any call of locking it, and its lock goes when somebody looks', async () => {
    const tries = async (folder: string, fatal: number): Promise<number> => {
      await fs.mkdir(folder, { recursive: true });
      const disk = await newProcess();
      const { made } = killBefore(fatal);
      await disk.whileLocked(folder, async () => {}).catch(() => {});
      await buried();
      return made();
    };
    const count = await tries(at(`every ${round}`, 'whole'), Number.POSITIVE_INFINITY);
    expect(count).toBeGreaterThan(3);
    for (let fatal = 1; fatal <= count; fatal++) {
      const folder = at(`every ${round}`, String(fatal));
      await tries(folder, fatal);
      expect(await (await newProcess()).whileLocked(folder, async () => 'done')).toBe('done');
      await tries(folder, fatal);
      await (await newProcess()).listFolder(folder);
      expect(await fs.readdir(folder), `killed before call ${fatal}`).toEqual([]);
    }
  });

  test('is taken over from one whose lock is dated in the far future', async () => {
    const folder = at(`future ${round}`);
    await fs.mkdir(folder);
    await fs.writeFile(join(folder, '.sdc-lock'), '{"owner":"zzzzzz1","host":"far","pid":1}');
    const later = new Date(Date.now() + 24 * 3_600_000);
    await fs.utimes(join(folder, '.sdc-lock'), later, later);
    expect(await (await newProcess()).whileLocked(folder, async () => 'done')).toBe('done');
  });

  test.each([
    ['a folder', (path: string) => fs.mkdir(path)],
    ['a link', (path: string) => fs.symlink('/dev/zero', path)],
    ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
  ])('is not waited for where its lock is %s', async (what, make) => {
    const folder = at(`odd ${round} ${what}`);
    await fs.mkdir(folder);
    await make(join(folder, '.sdc-lock'));
    const refused = (await newProcess()).whileLocked(folder, async () => 'never');
    await expect(refused).rejects.toThrow('its .sdc-lock cannot be read');
  });

  test('goes to one of many that want it at once', async () => {
    const folder = at(`wanted ${round}`);
    const disks = await Promise.all(Array.from({ length: 8 }, newProcess));
    let inside = 0;
    const ended = await Promise.allSettled(
      disks.map((disk) =>
        disk.whileLocked(folder, async () => {
          expect(++inside).toBe(1);
          await new Promise((done) => setTimeout(done, 20));
          inside--;
        }),
      ),
    );
    expect(ended.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});

test('a temporary folder is its owner’s alone, and a later run takes away what a killed one left', async () => {
  const first = await newProcess();
  await fs.mkdir(at(`temporary ${round}`));
  const { path } = await first.makeTemporaryFolder(at(`temporary ${round}`));
  expect((await fs.stat(path)).mode & 0o077).toBe(0);
  await buried();
  const second = await (await newProcess()).makeTemporaryFolder(at(`temporary ${round}`));
  expect(await fs.readdir(at(`temporary ${round}`))).toEqual([second.path.split('/').at(-1)]);
  await second.remove();
  expect(await fs.readdir(at(`temporary ${round}`))).toEqual([]);
});
