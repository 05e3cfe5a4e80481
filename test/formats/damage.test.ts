import { createHash } from 'node:crypto';
import { linkSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hashUnseen, noteUntouched, noteWritten } from '../../src/formats/damage.ts';
import { fileTraffic } from '../../src/io/traffic.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

function made(text: string) {
  const name = `file ${text}`;
  writeFileSync(at(name), text);
  return { name, byteLength: text.length, sha256: createHash('sha256').update(text).digest('hex') };
}

async function bytesReadFor(path: string): Promise<number> {
  const before = fileTraffic().read;
  await hashUnseen(path);
  return fileTraffic().read - before;
}

test('a file that was just written is not read, also where it gets a second name', async () => {
  const file = made('written');
  await noteWritten(at('.'), [file]);
  linkSync(at(file.name), at('second name'));
  expect(await bytesReadFor(at('second name'))).toBe(0);
  expect(await hashUnseen(at(file.name))).toBe(file.sha256);
});

test('a file that was changed is read', async () => {
  const file = made('before');
  await noteWritten(at('.'), [file]);
  writeFileSync(at(file.name), 'after!');
  utimesSync(at(file.name), new Date(0), new Date(0)); // no clock is that coarse
  expect(await hashUnseen(at(file.name))).toBe(made('after!').sha256);
});

test('of what is on record only what nobody touched is known', async () => {
  mkdirSync(at('model'));
  const file = made('on record');
  linkSync(at(file.name), at('model', file.name));
  const artifacts = [['model', { files: [file] }]] as const;
  await noteUntouched(at('.'), artifacts, Date.now() - 3_600_000);
  expect(await bytesReadFor(at('model', file.name))).toBe(file.byteLength);
  const other = made('old');
  linkSync(at(other.name), at('model', other.name));
  await noteUntouched(at('.'), [['model', { files: [other] }]], Date.now() + 3_600_000);
  expect(await bytesReadFor(at('model', other.name))).toBe(0);
});
