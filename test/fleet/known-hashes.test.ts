import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { KnownHashes } from '../../src/fleet/known-hashes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

test('hashes that cannot be read are found again', async () => {
  mkdirSync(at('hashes.json'));
  writeFileSync(at('file'), 'x');
  const known = await KnownHashes.open(at('hashes.json'));
  expect(await known.of(at('file'))).toBe(createHash('sha256').update('x').digest('hex'));
});
