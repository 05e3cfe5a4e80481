import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { InterruptedError, NotFoundError, RequestError } from '../../../src/errors.ts';
import { hashFile } from '../../../src/io/hashing/hash-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const at = temporaryFolder();

test('a file that is hashed in a thread has the SHA-256 that it has', async () => {
  const bytes = new Uint8Array(40_000_001).map((_, i) => i);
  writeFileSync(at('file'), bytes);
  expect(await hashFile(at('file'))).toBe(createHash('sha256').update(bytes).digest('hex'));
});

test('what is wrong with a file is said as it would be without the thread', async () => {
  const missing = await rejectionOf(hashFile(at('missing')));
  expect(missing).toBeInstanceOf(NotFoundError);
  expect(missing).toMatchObject({ name: 'NotFoundError', problem: `${at('missing')} does not exist.` });
  expect(missing.advice).toBe('Check the spelling of the path.');
  expect(await rejectionOf(hashFile(at()))).toBeInstanceOf(RequestError);
});

test('a signal that was aborted before or is aborted meanwhile stops it', async () => {
  writeFileSync(at('large'), new Uint8Array(1e8));
  expect(await rejectionOf(hashFile(at('large'), AbortSignal.abort()))).toBeInstanceOf(InterruptedError);
  const stop = new AbortController();
  const hashing = hashFile(at('large'), stop.signal);
  stop.abort();
  expect(await rejectionOf(hashing)).toBeInstanceOf(InterruptedError);
});
