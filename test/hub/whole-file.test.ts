import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { resolveModel } from '../../src/checkpoint/from-hub/resolve-model.ts';
import { SourceHashes } from '../../src/commands/conversion/source-hashes.ts';
import { download } from '../../src/commands/download.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { repository, scrambled } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const hub = hubFixture();
const temporary = temporaryFolder();
const weights = 'diffusion_pytorch_model.safetensors';
const files: Readonly<Record<string, Buffer | Uint8Array>> = {
  'config.json': Buffer.from('{"_class_name":"UNet2DConditionModel","in_channels":4}'),
  [weights]: scrambled(11e6, 8), // more than is read at every use
};

let folder: string;
beforeEach(async () => {
  hub.server.repositories.set('org/model', repository(files));
  ({ path: folder } = await resolveModel('org/model', hub.options));
  hub.server.seen.length = 0;
});

/** Changes a byte of a file in the cache; its size stays. */
function damage(name: string): void {
  const bytes = readFileSync(join(folder, name));
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  writeFileSync(join(folder, name), bytes);
}

function isRight(name: string): boolean {
  return readFileSync(join(folder, name)).equals(Buffer.from(files[name] ?? []));
}

describe('a file of the cache that has its size and not its bytes', () => {
  test.each(Object.keys(files))('is brought again by a download, which says so: %s', async (name) => {
    damage(name);
    const { notes } = await download({ ...hub.options, repo: 'org/model' });
    expect(isRight(name)).toBe(true);
    expect(notes).toEqual([`${name} was damaged in the cache; downloading it again.`]);
    expect(hub.rangesOf(name)).toEqual([undefined]);
  });

  test('is brought again whenever it is used, where it is small', async () => {
    damage('config.json');
    await resolveModel('org/model', hub.options);
    expect(isRight('config.json')).toBe(true);
    expect(hub.fileRequests()).toHaveLength(1);
  });

  test('is refused by a conversion, which hashes it anyway', async () => {
    damage(weights);
    const hashes = new SourceHashes(folder, undefined);
    await expect(hashes.hash(join(folder, weights))).rejects.toThrow('it was damaged in the cache');
    await hashes.close();
    await download({ ...hub.options, repo: 'org/model' });
    const again = new SourceHashes(folder, undefined);
    expect(await again.hash(join(folder, weights))).toHaveLength(64);
    await again.close();
  });

  test('is brought again where a plain file or another blob is in the place of the link', async () => {
    const other = Buffer.from(files['config.json'] ?? []);
    other[3] = 65;
    rmSync(join(folder, 'config.json'));
    writeFileSync(join(folder, 'config.json'), other);
    await download({ ...hub.options, repo: 'org/model' });
    expect(isRight('config.json')).toBe(true);
    expect(hub.fileRequests()).toEqual([]); // its blob was there
  });
});

test('bytes that are compared count as progress, and each once', async () => {
  const events: ProgressEvent[] = [];
  await download(
    { ...hub.options, repo: 'org/model', output: temporary('out') },
    { onProgress: (event) => void events.push(event) },
  );
  const progress = events.filter((event) => event.type === 'progress');
  const total = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  expect(progress.at(-1)).toMatchObject({ done: total, total });
  expect(progress.every(({ done }, index) => done >= (progress[index - 1]?.done ?? 0))).toBe(true);
});
