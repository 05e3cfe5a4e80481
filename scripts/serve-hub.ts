/**
 * `node scripts/serve-hub.ts FOLDER REPO`: an imitation of the Hub on this machine that has one repository, for clients
 * of it that are not ours (`test/python/hub_roundtrip.sh`). Prints its address and runs until it is stopped.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { startHub } from '../test/support/hub-server.ts';

const [folder = '', repo = ''] = process.argv.slice(2);
const names = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, sep).length));

const hub = await startHub();
hub.repositories.set(repo, {
  commit: 'c0ffee'.padEnd(40, '0'),
  refs: ['main', 'HEAD'],
  files: Object.fromEntries(
    names.map((name) => [name.replaceAll(sep, '/'), readFileSync(join(folder, name))]),
  ),
  isLfs: (name) => name.endsWith('.safetensors'),
});
process.stdout.write(`${hub.url}\n`);
