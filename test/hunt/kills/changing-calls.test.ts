import { promises as fs, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { beforeChanges, changing, changingHandle, touching } from '../../../hunt/kills/changing-calls.ts';

const reading = [
  ...['access', 'glob', 'lstat', 'opendir', 'readFile', 'readdir', 'readlink', 'realpath', 'stat', 'statfs'],
  ...['watch', 'constants'],
];
/** Streams: their writes are not calls of the handle. */
const refused = ['createWriteStream'];
const readingHandle = [
  ...['constructor', 'getAsyncId', 'fd', 'read', 'readv', 'readFile', 'readLines', 'stat'],
  ...['readableWebStream', 'createReadStream', 'close', 'onread'],
];

test('each call of Node’s file system is known: it changes the disk and is counted, or it does not', async () => {
  const known: readonly string[] = ['open', ...changing, ...touching, ...reading];
  expect(Object.keys(fs).filter((name) => !known.includes(name))).toEqual([]);
  const handle = await fs.open(import.meta.filename);
  const ofHandle: readonly string[] = [...changingHandle, ...touching, ...readingHandle, ...refused];
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  expect(Object.getOwnPropertyNames(prototype).filter((name) => !ofHandle.includes(name))).toEqual([]);
});

test('each of them is counted, and files that are opened to be read are not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sdconvert-calls-'));
  let made = 0;
  const undo = beforeChanges(() => void made++);
  try {
    const disk = fs as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
    for (const name of changing) {
      const before = made;
      if (!(name in disk)) continue;
      await disk[name]?.().catch(() => {});
      expect(made - before, name).toBe(1);
    }
    const path = join(folder, 'x');
    const before = made;
    await fs.open(path, 'r').catch(() => {});
    await fs.open(path, fs.constants.O_RDONLY).catch(() => {});
    expect(made).toBe(before);
    const writing = await fs.open(path, fs.constants.O_RDONLY | fs.constants.O_CREAT);
    await writing.close();
    const handle = await fs.open(path, 'r+');
    expect(made - before).toBe(2);
    for (const name of changingHandle) {
      const before = made;
      // as: each of them is called without what it needs.
      const call = (handle as unknown as Record<string, () => Promise<unknown>>)[name];
      await call?.call(handle).catch(() => {});
      expect(made - before, name).toBeGreaterThanOrEqual(1);
    }
    await handle.close();
  } finally {
    undo();
    rmSync(folder, { recursive: true });
  }
});

/** What may be had of the file system: the calls that are counted, and such as read. */
const allowed = /^(promises as fs|constants|existsSync|readFileSync|readlinkSync|type Stats)$/;

const project = join(import.meta.dirname, '../../..');

test.each(globSync('{src,cli}/*', { cwd: project }))('%s changes the disk by counted calls alone', (part) => {
  for (const source of globSync(part.endsWith('.ts') ? part : `${part}/**/*.ts`, { cwd: project })) {
    const text = readFileSync(join(project, source), 'utf8');
    const modules = [...text.matchAll(/['"](?:node:)?fs(?:\/promises)?['"]/g)];
    const imports = [...text.matchAll(/^import \{([^}]*)\} from 'node:fs';$/gm)];
    // No other way to have the module: a default import, `require`, `import()`, `fs/promises`.
    expect(imports.length, source).toBe(modules.length);
    const names = imports.flatMap(([, names = '']) => names.split(',').map((name) => name.trim()));
    expect(
      names.filter((name) => !allowed.test(name)),
      source,
    ).toEqual([]);
    expect(text, source).not.toMatch(/process\.binding|getBuiltinModule|\bcreateWriteStream\b/);
    // A folder of one's own there is left behind by who is killed; temporary folders are removed by a later run.
    expect(text, source).not.toMatch(/join\(tmpdir\(\)/);
  }
});
