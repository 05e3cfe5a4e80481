import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { resolveModel } from '../../../src/checkpoint/from-hub/resolve-model.ts';
import type { ProgressEvent } from '../../../src/context.ts';
import { DownloadError, NotFoundError } from '../../../src/errors.ts';
import { checkpointFiles, commit, neededFiles, repository, scrambled } from '../../support/hub-checkpoint.ts';
import { filesBelow, hubFixture, inTurn } from '../../support/hub-fixture.ts';
import { blobHash, sha256 } from '../../support/hub-server.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const hub = hubFixture();
const unet = 'unet/diffusion_pytorch_model.safetensors';
const unetBytes = checkpointFiles[unet] ?? new Uint8Array();

beforeEach(() => void hub.server.repositories.set('org/model', repository(checkpointFiles)));

describe('a command that is told', () => {
  const folder = "it's $(mine)/packages";

  test('quotes what folders are called there, and names the revision', async () => {
    hub.server.repositories.set(
      'org/ready',
      repository({ [`${folder}/Unet.mlpackage/Manifest.json`]: Buffer.of(1) }),
    );
    const error = await rejectionOf(resolveModel('org/ready', { ...hub.options, revision: 'v1.0' }));
    expect(error.advice).toBe(
      String.raw`It has Core ML models that are ready: sdconvert download org/ready --revision v1.0 --variant 'it'\''s $(mine)/packages'`,
    );
  });

  test('has the revision of which the cache lacks weights', async () => {
    const asked = { ...hub.options, revision: 'v1.0' };
    await resolveModel('org/model', asked);
    rmSync(join(hub.options.cacheDir, 'models--org--model/blobs', sha256(unetBytes)));
    const error = await rejectionOf(resolveModel('org/model', { ...asked, offline: true }));
    expect(error.advice).toContain('Run sdconvert download org/model --revision v1.0 once');
  });
});

describe('a checkpoint', () => {
  test('arrives with what a conversion needs and nothing else, byte for byte', async () => {
    const { path, id, commit: at, notes } = await resolveModel('org/model', hub.options);
    expect({ id, at, notes }).toEqual({ id: 'org/model', at: commit, notes: [] });
    expect(filesBelow(path)).toEqual(neededFiles);
    for (const name of neededFiles)
      expect(readFileSync(join(path, name)).equals(checkpointFiles[name] ?? Buffer.of())).toBe(true);
  });

  test('lies in the cache as Python’s huggingface_hub lays it out', async () => {
    const { path } = await resolveModel('org/model', hub.options);
    const folder = join(hub.options.cacheDir, 'models--org--model');
    expect(path).toBe(join(folder, 'snapshots', commit));
    expect(readFileSync(join(folder, 'refs/main'), 'utf8')).toBe(commit);
    expect(readlinkSync(join(path, unet))).toBe(`../../../blobs/${sha256(unetBytes)}`);
    const config = checkpointFiles['unet/config.json'] ?? new Uint8Array();
    expect(readlinkSync(join(path, 'unet/config.json'))).toBe(`../../../blobs/${blobHash(config)}`);
    expect(readdirSync(join(folder, 'blobs')).filter((name) => name.includes('.'))).toEqual([]);
    expect(filesBelow(join(hub.options.cacheDir, '.locks'))).toEqual([]);
  });

  test('takes one request a file, and the second time only two to see that nothing changed', async () => {
    await resolveModel('org/model', hub.options);
    expect(hub.fileRequests()).toHaveLength(neededFiles.length);
    hub.server.seen.length = 0;
    await resolveModel('org/model', hub.options);
    expect(hub.fileRequests()).toEqual([]);
  });

  test('of which only a variant’s weights are new brings only those', async () => {
    await resolveModel('org/model', hub.options);
    hub.server.bytesSent = 0;
    const { path } = await resolveModel('org/model', { ...hub.options, variant: 'fp16' });
    expect(existsSync(join(path, 'unet/diffusion_pytorch_model.fp16.safetensors'))).toBe(true);
    expect(hub.server.bytesSent).toBe(35_000 + 1500);
  });

  test('of a commit is not looked up, and leaves no ref', async () => {
    await resolveModel('org/model', { ...hub.options, revision: commit });
    expect(hub.server.seen.some(({ path }) => path.includes('/revision/'))).toBe(false);
    expect(existsSync(join(hub.options.cacheDir, 'models--org--model/refs'))).toBe(false);
  });

  test('of a tag or a pull request is found under its name', async () => {
    for (const revision of ['v1.0', 'refs/pr/1']) {
      await resolveModel('org/model', { ...hub.options, revision });
      expect(readFileSync(join(hub.options.cacheDir, 'models--org--model/refs', revision), 'utf8')).toBe(
        commit,
      );
    }
  });

  test('reports bytes as they come, up to all of them', async () => {
    const events: ProgressEvent[] = [];
    await resolveModel('org/model', hub.options, { onProgress: (event) => events.push(event) });
    const progress = events.filter((event) => event.type === 'progress');
    const total = neededFiles.reduce((sum, name) => sum + (checkpointFiles[name]?.length ?? 0), 0);
    expect(progress.at(-1)).toMatchObject({ stage: 'download', done: total, total });
    expect(progress.every(({ done }, i) => done >= (progress[i - 1]?.done ?? 0))).toBe(true);
    expect(events.at(-1)).toMatchObject({ type: 'stage', stage: 'download', state: 'finished' });
  });

  test('of a name with characters that addresses give a meaning arrives', async () => {
    const files = { 'a b/modèl #1?%41.safetensors': scrambled(100, 1) };
    hub.server.repositories.set('org/odd', repository(files));
    const { path } = await resolveModel('org/odd', hub.options);
    expect(path.endsWith('modèl #1?%41.safetensors')).toBe(true);
    expect(readFileSync(path)).toHaveLength(100);
  });
});

describe('a repository of single files', () => {
  test('gives the one that is named', async () => {
    const { path, id } = await resolveModel('org/model/model.ckpt', hub.options);
    expect(id).toBe('org/model/model.ckpt');
    expect(readFileSync(path)).toHaveLength(999);
    expect(hub.fileRequests()).toHaveLength(1);
  });

  test('gives the only one there is', async () => {
    hub.server.repositories.set(
      'org/single',
      repository({ 'README.md': Buffer.of(1), 'x.safetensors': unetBytes }),
    );
    expect((await resolveModel('org/single', hub.options)).path.endsWith('x.safetensors')).toBe(true);
  });

  test('asks which of several, and says how to name it', async () => {
    hub.server.repositories.set(
      'org/several',
      repository({ 'a.safetensors': unetBytes, 'b/c.ckpt': unetBytes }),
    );
    const error = await rejectionOf(resolveModel('org/several', hub.options));
    expect(error.problem).toBe('org/several has 2 checkpoints in single files: say which one.');
    expect(error.details).toEqual({ files: 'a.safetensors, b/c.ckpt' });
    expect(error.advice).toContain('org/several/a.safetensors');
  });
});

describe('offline', () => {
  beforeEach(async () => {
    await resolveModel('org/model', hub.options);
    hub.options = { ...hub.options, offline: true };
    hub.server.seen.length = 0;
  });

  test('the cache is enough, and nothing is asked', async () => {
    const { path } = await resolveModel('org/model', hub.options);
    expect(filesBelow(path)).toEqual(neededFiles);
    expect(hub.server.seen).toEqual([]);
  });

  test('a safety checker that is named, but was not there to download, is not missed', async () => {
    const index = JSON.parse(new TextDecoder().decode(checkpointFiles['model_index.json']));
    const named = { ...index, safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'] };
    const files = { ...checkpointFiles, 'model_index.json': Buffer.from(JSON.stringify(named)) };
    hub.server.repositories.set('org/unsafe', repository(files));
    const { path } = await resolveModel('org/unsafe', { ...hub.options, offline: false });
    expect((await resolveModel('org/unsafe', hub.options)).path).toBe(path);
  });

  test('what is missing is named', async () => {
    const folder = join(hub.options.cacheDir, 'models--org--model');
    rmSync(join(folder, 'blobs', sha256(unetBytes)));
    const error = await rejectionOf(resolveModel('org/model', hub.options));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe('the cache does not hold all of org/model: it has no weights of unet.');
    const fp16 = await rejectionOf(resolveModel('org/model', { ...hub.options, variant: 'fp16' }));
    expect(fp16.problem).toContain('it has no fp16 weights');
    const other = await rejectionOf(resolveModel('org/other', hub.options));
    expect(other.problem).toContain('nor in the cache');
    const revision = await rejectionOf(resolveModel('org/model', { ...hub.options, revision: 'v1.0' }));
    expect(revision.details.revision).toBe('v1.0');
    expect(hub.server.seen).toEqual([]);
  });

  test('a model that moved is found under its new name', async () => {
    const moved = 'stable-diffusion-v1-5/stable-diffusion-v1-5';
    hub.server.repositories.set(moved, repository(checkpointFiles));
    await resolveModel(moved, { ...hub.options, offline: false });
    expect((await resolveModel('runwayml/stable-diffusion-v1-5', hub.options)).id).toBe(moved);
  });
});

describe('without the Hub, though not told to be offline,', () => {
  test('the cache is used, after one attempt, and it is said', async () => {
    await resolveModel('org/model', hub.options);
    const away = { ...hub.options, endpoint: 'http://127.0.0.1:9' };
    const { notes } = await resolveModel('org/model', away);
    expect(notes).toEqual(['org/model comes from the cache (commit c0ffee0): the Hub cannot be reached.']);
    expect(hub.waits).toEqual([]);
  });

  test('a busy Hub is asked again where the cache is not enough', async () => {
    await (await resolveModel('org/model', { ...hub.options, isNeeded: (name) => name === 'vae' })).close();
    hub.server.api = inTurn({ kind: 'status', status: 503 }, { kind: 'status', status: 503 });
    const { notes } = await resolveModel('org/model', hub.options);
    expect(notes).toEqual([]);
  });

  test('a cache that lacks something is no help: the connection is the error', async () => {
    await (await resolveModel('org/model', { ...hub.options, isNeeded: (name) => name === 'vae' })).close();
    const away = { ...hub.options, endpoint: 'http://127.0.0.1:9' };
    expect(await rejectionOf(resolveModel('org/model', away))).toBeInstanceOf(DownloadError);
  });
});

describe('a model whose repository is gone', () => {
  const gone = 'runwayml/stable-diffusion-v1-5';
  const moved = 'stable-diffusion-v1-5/stable-diffusion-v1-5';

  test('comes from where it lives now, and it is said', async () => {
    hub.server.repositories.set(moved, repository(checkpointFiles));
    const { id, notes } = await resolveModel(gone, hub.options);
    expect(id).toBe(moved);
    expect(notes).toEqual([`${gone} is no longer on the Hub: using ${moved}, where it lives now.`]);
  });

  test('comes from the cache when it was downloaded before', async () => {
    hub.server.repositories.set(gone, repository(checkpointFiles));
    await resolveModel(gone, hub.options);
    hub.server.repositories.delete(gone);
    const { id, notes } = await resolveModel(gone, hub.options);
    expect(id).toBe(gone);
    expect(notes[0]).toContain('the Hub does not show it now');
  });

  test('comes from its own repository where a mirror still has it', async () => {
    hub.server.repositories.set(gone, repository(checkpointFiles));
    expect((await resolveModel(gone, hub.options)).id).toBe(gone);
  });
});

describe('several at once', () => {
  test('download each file once', async () => {
    hub.server.fault = () => ({ kind: 'slow', pieces: 3, milliseconds: 5 });
    const found = await Promise.all([1, 2, 3].map(() => resolveModel('org/model', hub.options)));
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect(hub.fileRequests()).toHaveLength(neededFiles.length);
    expect(readFileSync(join(found[0]?.path ?? '', unet)).equals(unetBytes)).toBe(true);
  });
});

test('a repository whose files have the same content stores it once', async () => {
  const same = scrambled(5000, 3);
  const files = {
    'original/packages/A.mlpackage/w.bin': same,
    'config.json': Buffer.from('{}'),
    'model.safetensors': same,
  };
  hub.server.repositories.set('org/same', repository(files));
  const { path } = await resolveModel('org/same', hub.options);
  expect(lstatSync(join(path, 'model.safetensors')).isSymbolicLink()).toBe(true);
});
