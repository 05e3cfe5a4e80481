/**
 * What a conversion is compared with: a folder's files, one after the other, copied by the operating system (`copyFile`)
 * or read and written through a buffer (`loop`); or read only (`read`), which brings them into the page cache.
 *
 *     node benchmarks/copy-files.ts copyFile|loop|read FROM TO
 */
import {
  closeSync,
  copyFileSync,
  globSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const BUFFER_BYTES = 2 ** 20;

const copiers: Readonly<Record<string, (from: string, to: string) => void>> = {
  copyFile: copyFileSync,
  loop: (from, to) => {
    const output = openSync(to, 'w');
    eachBlock(from, (block) => writeSync(output, block));
    closeSync(output);
  },
  read: (from) => eachBlock(from, () => {}),
};

function eachBlock(path: string, take: (block: Uint8Array) => void): void {
  const buffer = new Uint8Array(BUFFER_BYTES);
  const input = openSync(path, 'r');
  for (let length = readSync(input, buffer); length > 0; length = readSync(input, buffer)) {
    take(buffer.subarray(0, length));
  }
  closeSync(input);
}

const [how = '', from = '', to = ''] = process.argv.slice(2);
const copy = copiers[how];
if (!copy) throw new Error(`${how} is none of ${Object.keys(copiers).join(', ')}`);
for (const name of globSync('**', { cwd: from })) {
  const path = join(from, name);
  if (!statSync(path).isFile()) continue;
  if (how !== 'read') mkdirSync(dirname(join(to, name)), { recursive: true });
  copy(path, join(to, name));
}
