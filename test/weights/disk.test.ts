import { promises as fs } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  DiskSpaceError,
  FileFormatError,
  NotFoundError,
  RequestError,
  SdConvertError,
} from '../../src/errors.ts';
import {
  copyFile,
  createFile,
  exists,
  freeBytes,
  listFolder,
  makeFolder,
  openFile,
  pathKind,
  readText,
  removePath,
  writeText,
} from '../../src/weights/disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

afterEach(() => vi.restoreAllMocks());

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
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
    for (const reading of [openFile(at('no.bin')), readText(at('no.bin')), copyFile(at('no.bin'), at('x'))]) {
      await expect(reading).rejects.toThrow(NotFoundError);
      await expect(reading).rejects.toThrow(`${at('no.bin')} does not exist.`);
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

  test('a full disk is called by its name', async () => {
    const open = fs.open;
    vi.spyOn(fs, 'open').mockImplementationOnce(async (...args) => {
      const handle = await open(...args);
      vi.spyOn(handle, 'write').mockRejectedValue(systemError('ENOSPC'));
      return handle;
    });
    const file = await createFile(at('huge.bin'));
    const writing = file.write(new Uint8Array(8), 0);
    await expect(writing).rejects.toThrow(DiskSpaceError);
    await expect(writing).rejects.toThrow(`The disk is full: ${at('huge.bin')} could not be written.`);
    await file.discard();
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

  test('to remove what is not there is fine', async () => {
    await writeText(at('old', 'below', 'file'), '');
    await removePath(at('old'));
    await removePath(at('old'));
    expect(await exists(at('old'))).toBe(false);
  });
});
