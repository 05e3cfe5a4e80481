import { createHash } from 'node:crypto';
import { cpSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Identities } from '../../src/fleet/identities.ts';
import type { Item } from '../../src/fleet/item.ts';
import { KnownHashes } from '../../src/fleet/known-hashes.ts';
import { fileTraffic } from '../../src/io/traffic.ts';
import { commit, repository } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();
const hub = hubFixture();

function item(modelVersion: string, more: Partial<Item> = {}): Item {
  return { name: 'x', models: { modelVersion }, options: {}, output: at('out'), ...more };
}

async function identify(given: Item, hashes?: KnownHashes) {
  return new Identities(hub.options, hashes ?? (await KnownHashes.open())).identify(given);
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

test('an id follows from bytes, name and options, not from the folder or the order of keys', async () => {
  writeFileSync(at('a.safetensors'), 'weights');
  const { id } = await identify(
    item(at('a.safetensors'), { options: { precision: 'float16', targets: ['onnx'] } }),
  );
  cpSync(at('a.safetensors'), at('elsewhere/a.safetensors'), { recursive: true });
  const same = item(at('elsewhere/a.safetensors'), {
    options: { targets: ['onnx'], precision: 'float16' },
    output: at('other'),
    floor: 9,
  });
  expect((await identify(same)).id).toBe(id);
  expect((await identify({ ...same, options: { targets: ['onnx'] } })).id).not.toBe(id);
  renameSync(at('elsewhere/a.safetensors'), at('elsewhere/b.safetensors'));
  expect((await identify({ ...same, models: { modelVersion: at('elsewhere/b.safetensors') } })).id).not.toBe(
    id,
  );
  writeFileSync(at('a.safetensors'), 'WEIGHTS');
  expect((await identify(item(at('a.safetensors'), { options: same.options }))).id).not.toBe(id);
});

test('a config beside a file, and every model of an item, count', async () => {
  for (const name of ['m.safetensors', 'lora.safetensors', 'vae.safetensors']) writeFileSync(at(name), name);
  const ids = [await identify(item(at('m.safetensors')))];
  const models = { modelVersion: at('m.safetensors'), customVaeVersion: at('vae.safetensors') };
  ids.push(await identify(item('', { models })));
  for (const scale of [1, 0.5])
    ids.push(
      await identify(item('', { models: { ...models, loras: [{ path: at('lora.safetensors'), scale }] } })),
    );
  writeFileSync(at('m.yaml'), 'model: {}');
  ids.push(await identify(item(at('m.safetensors'))));
  expect(new Set(ids.map(({ id }) => id)).size).toBe(5);
});

test('models of the Hub are pinned to their commit, which is asked for once', async () => {
  hub.server.repositories.set('org/name', repository({ 'model_index.json': new Uint8Array(2) }));
  const identities = new Identities(hub.options, await KnownHashes.open());
  const given = item('hf://org/name');
  const [first, second] = [
    await identities.identify(given),
    await identities.identify({ ...given, options: { bundle: false } }),
  ];
  expect(first.models).toMatchObject({ modelVersion: `hf://org/name@${commit}`, revision: undefined });
  expect(second.id).not.toBe(first.id);
  expect(hub.server.seen.filter(({ path }) => path.includes('/revision/')).length).toBeLessThanOrEqual(1);
});

test('a file with another SHA-256 than the manifest says is refused by name', async () => {
  writeFileSync(at('c.safetensors'), 'weights');
  const given = (hash: string) => item(at('c.safetensors'), { sha256: { '': hash } });
  await identify(given(sha256(at('c.safetensors')).toUpperCase()));
  await expect(identify(given('0'.repeat(64)))).rejects.toThrow(
    /c\.safetensors is not the file that the manifest means/,
  );
});

test('hashes are remembered, but not for other bytes of the same length and time', async () => {
  const file = at('large.safetensors');
  writeFileSync(file, Buffer.alloc(3e6, 1));
  utimesSync(file, 1e9, 1e9);
  const first = await KnownHashes.open(at('hashes.json'));
  const before = await first.of(file);
  await first.save();
  const readThen = fileTraffic().read;
  expect(await (await KnownHashes.open(at('hashes.json'))).of(file)).toBe(before);
  expect(fileTraffic().read - readThen).toBeLessThan(1e6);
  writeFileSync(file, Buffer.alloc(3e6, 2));
  utimesSync(file, 1e9, 1e9);
  expect(await (await KnownHashes.open(at('hashes.json'))).of(file)).toBe(sha256(file));
  writeFileSync(at('hashes.json'), 'not JSON');
  expect(await (await KnownHashes.open(at('hashes.json'))).of(file)).toBe(sha256(file));
});

test('hashes that cannot be written are a note', async () => {
  writeFileSync(at('no-folder'), '');
  const notes: string[] = [];
  const hashes = await KnownHashes.open(at('no-folder/hashes.json'));
  await hashes.save({ onProgress: (event) => event.type === 'note' && notes.push(event.message) });
  expect(notes).toEqual([expect.stringMatching(/^hashes are not remembered, and the next run reads .*: /)]);
});
