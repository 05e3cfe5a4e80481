import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { promises as fs } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  DiskSpaceError,
  FileFormatError,
  NotFoundError,
  RequestError,
  SdConvertError,
} from '../../src/errors.ts';
import { createFolder } from '../../src/io/create-folders.ts';
import {
  copyFile,
  createFile,
  exists,
  freeBytes,
  linkFile,
  listFolder,
  makeFolder,
  openFile,
  pathKind,
  pointTo,
  readBytes,
  readText,
  removePath,
  writeAll,
  writeText,
} from '../../src/io/disk.ts';
import { createOnce, growFile } from '../../src/io/shared-file.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

afterEach(() => vi.restoreAllMocks());

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** With what `listFolder` passes over. */
async function namesOnDisk(folder: string): Promise<string[]> {
  return (await fs.readdir(folder)).sort();
}

/** The next file that is opened cannot be written into. */
function failWriting(code: string): void {
  const open = fs.open;
  vi.spyOn(fs, 'open').mockImplementationOnce(async (...args) => {
    const handle = await open(...args);
    vi.spyOn(handle, 'write').mockRejectedValue(systemError(code));
    return handle;
  });
}

describe('reading', () => {
  test('a file is read at any offset into the caller’s buffer', async () => {
    await writeText(at('digits.txt'), '0123456789');
    const file = await openFile(at('digits.txt'));
    const buffer = new Uint8Array(6);
    await file.read(buffer.subarray(1, 5), 3);
    expect(file.size).toBe(10);
    expect([...buffer]).toEqual([0, 0x33, 0x34, 0x35, 0x36, 0]);
    await file.close();
  });

  test('a read beyond the end says how much there is', async () => {
    await writeText(at('short.txt'), 'abc');
    const file = await openFile(at('short.txt'));
    const reading = file.read(new Uint8Array(4), 1);
    await expect(reading).rejects.toThrow(FileFormatError);
    await expect(reading).rejects.toMatchObject({
      details: { expected: 'at least 5 bytes', found: '3 bytes' },
    });
    await file.close();
  });

  test('a file that is not there is named in the error', async () => {
    for (const read of [openFile, readText, (path: string) => copyFile(path, at('x'))]) {
      const error = await rejectionOf(read(at('no.bin')));
      expect(error).toBeInstanceOf(NotFoundError);
      expect(error.problem).toBe(`${at('no.bin')} does not exist.`);
    }
    await expect(listFolder(at('no'))).rejects.toThrow(NotFoundError);
  });

  test('a folder where a file is needed is told apart from a missing file', async () => {
    await makeFolder(at('folder'));
    const { problem } = new RequestError({
      problem: `${at('folder')} is a folder, but a file is needed there.`,
    });
    await expect(openFile(at('folder'))).rejects.toMatchObject({ problem });
    await expect(readText(at('folder'))).rejects.toMatchObject({ problem });
    await expect(createFile(at('folder'))).rejects.toMatchObject({ problem });
    await expect(writeText(at('folder'), '')).rejects.toMatchObject({ problem });
    await expect(copyFile(at('folder'), at('x'))).rejects.toMatchObject({ problem });
  });

  test('a file that may not be read is refused with advice', async () => {
    vi.spyOn(fs, 'open').mockRejectedValueOnce(systemError('EACCES'));
    const opening = openFile(at('secret'));
    await expect(opening).rejects.toThrow(RequestError);
    await expect(opening).rejects.toThrow('secret cannot be read: permission denied.');
  });

  test.skipIf(process.platform === 'win32')('a pipe is refused, not waited for', async () => {
    execFileSync('sh', ['-c', 'mkfifo "$0"', at('pipe')]);
    await expect(openFile(at('pipe'))).rejects.toThrow('is a pipe, but a file is needed there');
    await expect(copyFile(at('pipe'), at('x'))).rejects.toThrow('is a pipe, but a file is needed there');
  });

  test.skipIf(process.platform === 'win32')('a device without end is refused, as a text too', async () => {
    await expect(openFile('/dev/zero')).rejects.toThrow('/dev/zero is a device, but a file is needed there');
    await expect(readText('/dev/zero')).rejects.toThrow(RequestError);
    await expect(copyFile('/dev/zero', at('x'))).rejects.toThrow(RequestError);
  });

  test.skipIf(process.platform === 'win32')('a socket is refused by its name', async () => {
    const server = createServer().listen(at('socket'));
    await once(server, 'listening');
    const refused = await rejectionOf(openFile(at('socket')));
    expect(refused.problem).toContain('socket is a socket or device, but a file is needed there');
    server.close();
  });

  test('links that lead around in a circle are named', async () => {
    await fs.symlink(at('self'), at('self'));
    for (const reading of [openFile(at('self')), pathKind(at('self')), listFolder(at('self'))]) {
      const { problem, details } = await rejectionOf(reading);
      expect(problem).toBe(`${at('self')} leads nowhere: its links lead around in a circle.`);
      expect(details).toEqual({});
    }
  });

  test('too many open files are no fault of the file', async () => {
    vi.spyOn(fs, 'open').mockRejectedValueOnce(systemError('EMFILE'));
    const refused = await rejectionOf(openFile(at('any')));
    expect(refused.problem).toContain('could not be read: too many files are open');
    expect(refused.advice).toContain('ulimit -n');
  });

  test('a text larger than any that is meant is refused before it is read', async () => {
    await writeText(at('huge.json'), '');
    await fs.truncate(at('huge.json'), 2 ** 40);
    await expect(readText(at('huge.json'))).rejects.toThrow('is too large to be what its name says');
  });

  test('a failure of the disk itself is passed on with its cause', async () => {
    vi.spyOn(fs, 'open').mockRejectedValueOnce(systemError('EIO'));
    const opening = openFile(at('bad-sector'));
    await expect(opening).rejects.toThrow(SdConvertError);
    await expect(opening).rejects.toMatchObject({ details: { cause: 'Error: EIO' } });
  });
});

describe('writing', () => {
  test('a file appears under its name only when it is complete', async () => {
    const file = await createFile(at('deep', 'er', 'new.bin'));
    await file.write(new Uint8Array([3, 4]), 2);
    await file.write(new Uint8Array([1, 2]), 0);
    expect(await exists(at('deep', 'er', 'new.bin'))).toBe(false);
    await file.close();
    expect([...(await fs.readFile(at('deep', 'er', 'new.bin')))]).toEqual([1, 2, 3, 4]);
    expect(await listFolder(at('deep', 'er'))).toEqual(['new.bin']);
  });

  test('a discarded file leaves nothing behind, and the old one untouched', async () => {
    await writeText(at('kept', 'model'), 'old');
    const file = await createFile(at('kept', 'model'));
    await file.write(new Uint8Array(100), 0);
    await file.discard();
    expect(await listFolder(at('kept'))).toEqual(['model']);
    expect(await readText(at('kept', 'model'))).toBe('old');
  });

  test('to discard a finished file does nothing', async () => {
    const file = await createFile(at('finished'));
    await file.close();
    await file.discard();
    expect(await exists(at('finished'))).toBe(true);
  });

  test('what is larger than Node takes at once is read and written in pieces', async () => {
    const most = 2 ** 31 - 1;
    await writeText(at('large.bin'), '');
    await fs.truncate(at('large.bin'), most + 10);
    const handle = await fs.open(at('large.bin'), 'r+');
    const lengths: number[] = [];
    const all = async (...args: unknown[]) => {
      const [length = 0, place] = args.slice(2).map(Number);
      expect(place).toBe(lengths.reduce((sum, each) => sum + each, 0));
      lengths.push(length);
      return { bytesRead: length, bytesWritten: length };
    };
    for (const method of ['read', 'write'] as const)
      vi.spyOn(Object.getPrototypeOf(handle), method).mockImplementation(all);
    const bytes = await readBytes(at('large.bin'));
    expect(bytes.length).toBe(most + 10);
    for (const length of lengths.splice(0)) expect(length).toBeLessThanOrEqual(most);
    await writeAll(handle, at('large.bin'), bytes, 0);
    expect(lengths.reduce((sum, each) => sum + each, 0)).toBe(most + 10);
    for (const length of lengths) expect(length).toBeLessThanOrEqual(most);
    await handle.close();
  });

  test('a full disk is called by its name', async () => {
    failWriting('ENOSPC');
    const file = await createFile(at('huge.bin'));
    const writing = file.write(new Uint8Array(8), 0);
    await expect(writing).rejects.toThrow(DiskSpaceError);
    await expect(writing).rejects.toThrow(`The disk is full: ${at('huge.bin')} could not be written.`);
    await file.discard();
  });

  test('a file larger than the disk’s kind or a limit allows is told apart from a full disk', async () => {
    failWriting('EFBIG');
    const writing = writeText(at('large.txt'), 'a');
    await expect(writing).rejects.toThrow(DiskSpaceError);
    await expect(writing).rejects.toThrow('so large a file is not allowed there');
  });

  test('a failure within a folder that is growing names the place that the user knows', async () => {
    failWriting('ENOSPC');
    const making = createFolder(at('package'), (growing) => writeText(join(growing, 'a.txt'), 'a'));
    await expect(making).rejects.toThrow(`The disk is full: ${at('package', 'a.txt')} could not be written.`);
  });

  test('a text that could not be written leaves no temporary file', async () => {
    vi.spyOn(fs, 'rename').mockRejectedValueOnce(systemError('EROFS'));
    await expect(writeText(at('unlucky', 'a.txt'), 'a')).rejects.toThrow(RequestError);
    expect(await listFolder(at('unlucky'))).toEqual([]);
  });

  test('a file in the place of a folder is reported', async () => {
    await writeText(at('plain'), '');
    await expect(makeFolder(at('plain'))).rejects.toThrow(
      `${at('plain')} is a file, but a folder is needed there.`,
    );
    await expect(writeText(at('plain', 'below'), '')).rejects.toThrow(SdConvertError);
  });

  test('a copy has the same bytes and replaces what was there', async () => {
    await writeText(at('from'), 'new');
    await writeText(at('to'), 'old and longer');
    await copyFile(at('from'), at('to'));
    expect(await readText(at('to'))).toBe('new');
  });
});

describe('looking around', () => {
  test('names are listed in one order on every machine', async () => {
    for (const name of ['b', 'B', 'a', 'a10', 'a2']) await writeText(at('order', name), '');
    expect(await listFolder(at('order'))).toEqual(['B', 'a', 'a10', 'a2', 'b']);
  });

  test('links lead to what they point at, as in the Hub’s cache', async () => {
    await writeText(at('blob'), 'x');
    await fs.symlink(at('blob'), at('link'));
    await fs.symlink(at('gone'), at('dangling'));
    expect(await pathKind(at('link'))).toBe('file');
    expect(await pathKind(at('dangling'))).toBeUndefined();
    expect(await pathKind(at('blob', 'below-a-file'))).toBeUndefined();
  });

  test('the free space of a folder that is yet to be made is that of its disk', async () => {
    expect(await freeBytes(at('not', 'yet', 'there'))).toBeGreaterThan(0);
  });

  test('of a drive that is not there, which has no parent either, no free space is known', async () => {
    vi.spyOn(fs, 'stat').mockRejectedValue(systemError('ENOENT'));
    vi.spyOn(fs, 'statfs').mockRejectedValue(systemError('ENOENT'));
    await expect(freeBytes(at('not', 'there'))).rejects.toThrow(NotFoundError);
  });

  test('to remove what is not there is fine', async () => {
    await writeText(at('old', 'below', 'file'), '');
    await removePath(at('old'));
    await removePath(at('old'));
    expect(await exists(at('old'))).toBe(false);
  });
});

describe('a folder that is made', () => {
  test('comes back when the one that was to replace it cannot be put there', async () => {
    await writeText(at('kept/file'), 'old');
    const rename = fs.rename;
    vi.spyOn(fs, 'rename')
      .mockImplementationOnce(rename) // the journal
      .mockImplementationOnce(rename) // the old one away
      .mockRejectedValueOnce(systemError('EACCES')); // the new one there
    const replacing = createFolder(at('kept'), (growing) => writeText(`${growing}/file`, 'new'));
    await expect(replacing).rejects.toThrow(RequestError);
    expect(await readText(at('kept/file'))).toBe('old');
    expect((await listFolder(at())).filter((name) => name.startsWith('kept'))).toEqual(['kept']);
  });

  test('leaves no parents behind when it is not completed, but what others put there', async () => {
    const fails = async () => {
      throw new Error('stop');
    };
    await expect(createFolder(at('a/b/c'), fails)).rejects.toThrow('stop');
    expect(await exists(at('a'))).toBe(false);
    await makeFolder(at('a'));
    await expect(createFolder(at('a/b/c'), fails)).rejects.toThrow('stop');
    expect(await listFolder(at('a'))).toEqual([]);
    const joined = createFolder(at('d/e'), async () => {
      await writeText(at('d/f'), 'of somebody');
      throw new Error('stop');
    });
    await expect(joined).rejects.toThrow('stop');
    expect(await listFolder(at('d'))).toEqual(['f']);
  });

  test('cannot be below a file, and says which path', async () => {
    await writeText(at('is-file'), '');
    const below = createFolder(at('is-file/below'), async () => {});
    await expect(below).rejects.toThrow(RequestError);
    await expect(below).rejects.toThrow(`${at('is-file/below')} cannot be written`);
  });
});

describe('links', () => {
  test('lead from one place to another however the folder of both is moved', async () => {
    await writeText(at('links/blobs/abc'), 'x');
    await pointTo(at('links/blobs/abc'), at('links/snapshots/1/unet/config.json'));
    await fs.rename(at('links'), at('moved'));
    expect(await readText(at('moved/snapshots/1/unet/config.json'))).toBe('x');
  });

  test('replace what was there', async () => {
    await writeText(at('target'), 'new');
    await writeText(at('pointer'), 'old');
    await pointTo(at('target'), at('pointer'));
    expect(await readText(at('pointer'))).toBe('new');
    expect(await readText(at('target'))).toBe('new');
  });

  test('leave nothing behind where a folder has their name', async () => {
    await writeText(at('pointed at/target'), 'x');
    await makeFolder(at('pointed at/taken/full'));
    await rejectionOf(pointTo(at('pointed at/target'), at('pointed at/taken')));
    expect(await namesOnDisk(at('pointed at'))).toEqual(['taken', 'target']);
  });

  test('are second names where the system allows no links', async () => {
    await writeText(at('named'), 'x');
    vi.spyOn(fs, 'symlink').mockRejectedValue(systemError('EPERM'));
    await pointTo(at('named'), at('folder/second'));
    expect((await fs.lstat(at('folder/second'))).nlink).toBe(2);
  });

  test('are copies where it allows neither', async () => {
    await writeText(at('only'), 'x');
    vi.spyOn(fs, 'symlink').mockRejectedValue(systemError('EPERM'));
    vi.spyOn(fs, 'link').mockRejectedValue(systemError('EPERM'));
    await pointTo(at('only'), at('folder/copy'));
    expect(await readText(at('folder/copy'))).toBe('x');
  });

  test('give their file, not themselves, a second name', async () => {
    await writeText(at('file'), 'x');
    await pointTo(at('file'), at('link'));
    await linkFile(at('link'), at('elsewhere/name'));
    expect((await fs.lstat(at('elsewhere/name'))).isFile()).toBe(true);
  });
});

test('a file that grows keeps what an earlier run wrote', async () => {
  const bytes = new TextEncoder();
  for (const [text, offset] of [
    ['abcdef', 0],
    ['XY', 2],
  ] as const) {
    const file = await growFile(at('growing'));
    expect(file.size).toBe(offset === 0 ? 0 : 6);
    await file.write(bytes.encode(text), offset);
    await file.close();
  }
  expect(await readText(at('growing'))).toBe('abXYef');
});

test('of several that make a file at once, one made it', async () => {
  const made = await Promise.all(['a', 'b', 'c'].map((text) => createOnce(at('locks/one'), text)));
  expect(made.filter(Boolean)).toHaveLength(1);
});

test('parts of one process may write the same file at once', async () => {
  await Promise.all(['a', 'b', 'c'].map((text) => writeText(at('contended'), text)));
  expect(await listFolder(at())).toEqual(await namesOnDisk(at()));
});

test.runIf(process.platform === 'linux').each(['/proc/none', '/proc/none/below'])(
  'a folder where the system makes none is refused, instead of tried forever: %s',
  async (path) => {
    const refused = await rejectionOf(makeFolder(path));
    expect(refused.problem).toContain('the system makes no folders there');
    const alsoRefused = await rejectionOf(createFolder(`${path}/made`, async () => undefined));
    expect(alsoRefused.problem).toContain('the system makes no folders there');
  },
);

test('missing parents are made, and a folder that is there is left as it is', async () => {
  await makeFolder(at('parents/of/this'));
  await makeFolder(at('parents/of/this'));
  await makeFolder('/');
  expect(await fs.readdir(at('parents/of'))).toEqual(['this']);
  await Promise.all(['one', 'two', 'one/three'].map((name) => makeFolder(at('together/by/many', name))));
  expect((await fs.readdir(at('together/by/many'))).sort()).toEqual(['one', 'two']);
});
