import { createHash } from 'node:crypto';
import { constants, promises as fs, readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DiskSpaceError, SdConvertError } from '../../../src/errors.ts';
import { BLOCK_BYTES } from '../../../src/io/bytes.ts';
import { writeHashed } from '../../../src/io/hashing/write-hashed.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();

afterEach(() => vi.restoreAllMocks());

/** Some bytes, other ones for each length, that do not repeat at block ends. */
function bytesOf(length: number): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >> 8) + length) & 0xff);
}

/** Writes bytes in pieces, and compares the file and its hash with them. */
async function expectWritten(name: string, bytes: Uint8Array, piece: number): Promise<void> {
  const hashed = await writeHashed(at(name), async (write) => {
    for (let offset = 0; offset < bytes.length; offset += piece)
      await write(bytes.subarray(offset, offset + piece), offset);
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  expect(hashed).toEqual({ byteLength: bytes.length, sha256 });
  expect(Buffer.compare(readFileSync(at(name)), bytes)).toBe(0);
}

/** Lets the disk answer each direct write with an error. */
function refuseDirectWrites(code: string): { readonly refused: () => number } {
  let refused = 0;
  const open = fs.open.bind(fs);
  vi.spyOn(fs, 'open').mockImplementation(async (path, flags, mode) => {
    const handle = await open(path, flags, mode);
    if (typeof flags !== 'number' || (flags & constants.O_DIRECT) === 0) return handle;
    vi.spyOn(handle, 'write').mockImplementation(() => {
      refused++;
      return Promise.reject(Object.assign(new Error(code), { code }));
    });
    return handle;
  });
  return { refused: () => refused };
}

describe('a file is what was written, and so is its hash', () => {
  test.each([0, 1, 4095, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 9 * BLOCK_BYTES + 5000])(
    '%i bytes',
    async (length) => {
      await expectWritten(`of ${length}`, bytesOf(length), 700_001);
    },
  );

  test('ranges that are skipped are zeros', async () => {
    const [first, second] = [bytesOf(100), bytesOf(3 * BLOCK_BYTES)];
    const start = 2 * BLOCK_BYTES + 77;
    const hashed = await writeHashed(at('gap'), async (write) => {
      await write(first, 0);
      await write(second, start);
    });
    const expected = Buffer.alloc(start + second.length);
    expected.set(first);
    expected.set(second, start);
    expect(Buffer.compare(readFileSync(at('gap')), expected)).toBe(0);
    expect(hashed.sha256).toBe(createHash('sha256').update(expected).digest('hex'));
  });

  test('bytes may change as soon as a write has returned', async () => {
    const reused = new Uint8Array(BLOCK_BYTES);
    const expected = createHash('sha256');
    const { sha256 } = await writeHashed(at('reused'), async (write) => {
      for (let i = 0; i < 8; i++) {
        await write(reused.fill(i), i * BLOCK_BYTES);
        expected.update(new Uint8Array(BLOCK_BYTES).fill(i));
      }
    });
    expect(sha256).toBe(expected.digest('hex'));
  });

  test('several files at once', async () => {
    await Promise.all(
      [1, 2, 3].map((i) => expectWritten(`at once ${i}`, bytesOf(5 * BLOCK_BYTES + i), 1_000_003)),
    );
  });

  test('also of one that is written while another cannot be closed', async () => {
    const bytes = bytesOf(2 * BLOCK_BYTES);
    const rename = fs.rename.bind(fs);
    vi.spyOn(fs, 'rename').mockImplementation(async (from, to) => {
      if (String(to).endsWith('failing')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
      return rename(from, to);
    });
    const { sha256 } = await writeHashed(at('beside'), async (write) => {
      await write(bytes.subarray(0, BLOCK_BYTES), 0);
      await expect(writeHashed(at('failing'), (fill) => fill(bytes, 0))).rejects.toThrow(SdConvertError);
      await write(bytes.subarray(BLOCK_BYTES), BLOCK_BYTES);
    });
    expect(sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test.skipIf(constants.O_DIRECT === undefined)('on a disk that refuses to be written directly', async () => {
    const { refused } = refuseDirectWrites('EINVAL');
    await expectWritten('refused', bytesOf(6 * BLOCK_BYTES + 1), BLOCK_BYTES);
    expect(refused()).toBeGreaterThan(0);
  });
});

test.skipIf(constants.O_DIRECT === undefined)(
  'a disk that fills up is an error, and nothing is left',
  async () => {
    refuseDirectWrites('ENOSPC');
    const writing = writeHashed(at('full/file'), async (write) => {
      for (let i = 0; i < 9; i++) await write(bytesOf(BLOCK_BYTES), i * BLOCK_BYTES);
    });
    expect(await rejectionOf(writing)).toBeInstanceOf(DiskSpaceError);
    expect(readdirSync(at('full'))).toEqual([]);
    vi.restoreAllMocks();
    // The thread that hashed the beginning of it has forgotten it.
    await expectWritten('after', bytesOf(3 * BLOCK_BYTES), BLOCK_BYTES);
  },
);

test('what goes wrong between two blocks leaves nothing, neither on the disk nor in the next hash', async () => {
  const writing = writeHashed(at('broken/file'), async (write) => {
    await write(bytesOf(2 * BLOCK_BYTES + 1), 0);
    throw new Error('broken');
  });
  await expect(writing).rejects.toThrow('broken');
  expect(readdirSync(at('broken'))).toEqual([]);
  await expectWritten('next', bytesOf(3 * BLOCK_BYTES), BLOCK_BYTES);
});

test('a file is not written backwards', async () => {
  const writing = writeHashed(at('backwards'), async (write) => {
    await write(bytesOf(10), 0);
    await write(bytesOf(10), 5);
  });
  await expect(writing).rejects.toThrow('is written backwards');
});
