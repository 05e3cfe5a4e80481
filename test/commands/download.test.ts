import {
  existsSync,
  lstatSync,
  mkdirSync,
  promises,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { download } from '../../src/commands/download.ts';
import { NotFoundError, RequestError } from '../../src/errors.ts';
import { checkpointFiles, neededFiles, repository, scrambled } from '../support/hub-checkpoint.ts';
import { filesBelow, hubFixture } from '../support/hub-fixture.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();
const temporary = temporaryFolder();
const before = process.cwd();
let tests = 0;

const coreMl = {
  'README.md': Buffer.of(1),
  'coreml-stable-diffusion-v1-4_original_compiled.zip': scrambled(500, 1),
  'original/compiled/Unet.mlmodelc/weights/weight.bin': scrambled(600, 2),
  'original/packages/Unet.mlpackage/Data/com.apple.CoreML/model.mlmodel': scrambled(50, 3),
  'original/packages/Unet.mlpackage/Data/com.apple.CoreML/weights/weight.bin': scrambled(600, 4),
  'original/packages/Unet.mlpackage/Manifest.json': Buffer.from('{}'),
  'split_einsum/compiled/merges.txt': Buffer.from('a b'),
  'split_einsum/compiled/Unet.mlmodelc/model.mil': scrambled(50, 5),
};
const ready = 'apple/coreml-stable-diffusion-v1-4';

beforeEach(() => {
  hub.server.repositories.set('org/model', repository(checkpointFiles));
  hub.server.repositories.set(ready, repository(coreMl));
  const folder = temporary(`at${tests++}`);
  mkdirSync(folder);
  process.chdir(folder);
});
afterEach(() => process.chdir(before));

describe('ready-made Core ML models', () => {
  test('go where Apple’s instructions put them, in the repository’s folders', async () => {
    const { path } = await download({ ...hub.options, repo: ready, variant: 'original/packages' });
    expect(path).toBe('models/coreml-stable-diffusion-v1-4_original_packages');
    expect(filesBelow(path)).toEqual(
      Object.keys(coreMl).filter((name) => name.startsWith('original/packages/')),
    );
  });

  test('and appear whole: one that cannot be copied to its end is not there', async () => {
    const request = { ...hub.options, repo: ready, variant: 'original/packages', output: 'x' };
    const copy = promises.copyFile.bind(promises);
    const failing = vi.spyOn(promises, 'copyFile').mockImplementation(async (from, ...rest) => {
      if (String(from).endsWith('Manifest.json')) throw Object.assign(new Error('full'), { code: 'ENOSPC' });
      await copy(from, ...rest);
    });
    await expect(download(request)).rejects.toThrow();
    failing.mockRestore();
    expect(existsSync('x/original/packages/Unet.mlpackage')).toBe(false);
    await download(request);
    expect(filesBelow('x')).toHaveLength(3);
  });

  test('or where they are wanted', async () => {
    const { path } = await download({
      ...hub.options,
      repo: ready,
      variant: 'split_einsum/compiled',
      output: 'x',
    });
    expect(path).toBe('x');
    expect(filesBelow('x')).toHaveLength(2);
  });

  test('that are not there are named beside those that are', async () => {
    const error = await rejectionOf(download({ ...hub.options, repo: ready, variant: 'original/package' }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe(`${ready} has no folder original/package.`);
    expect(error.details['it has']).toBe('original/compiled, original/packages, split_einsum/compiled');
  });

  test('are what the error for a missing checkpoint points to', async () => {
    const error = await rejectionOf(download({ ...hub.options, repo: ready }));
    expect(error.problem).toContain('has no checkpoint');
    expect(error.advice).toContain(`sdconvert download ${ready} --variant original/compiled`);
  });

  test('come from the cache when offline', async () => {
    await download({ ...hub.options, repo: ready, variant: 'original/packages' });
    const { path, files } = await download({
      ...hub.options,
      offline: true,
      repo: ready,
      variant: 'original/packages',
      output: 'y',
    });
    expect([path, files.length]).toEqual(['y', 3]);
    expect(filesBelow('y')).toHaveLength(3);
  });

  test('are compared with their hashes when offline, with progress', async () => {
    const request = { ...hub.options, repo: ready, variant: 'original/packages' };
    const { files } = await download({ ...request, output: 'there' });
    const done: number[] = [];
    const total = files.reduce((sum, { byteLength }) => sum + byteLength, 0);
    await download(
      { ...request, offline: true, output: 'again' },
      {
        onProgress(event) {
          if (event.type === 'progress' && event.total === total) done.push(event.done);
        },
      },
    );
    expect(done.length).toBeGreaterThanOrEqual(files.length);
    expect(done.at(-1)).toBe(total);
  });

  test('are not laid out where they were damaged in the cache, offline neither', async () => {
    const request = { ...hub.options, repo: ready, variant: 'original/packages' };
    const { path } = await download({ ...request, output: 'z' });
    expect(path).toBe('z');
    const [blob = ''] = filesBelow(hub.options.cacheDir).filter((name) => name.includes('/blobs/'));
    const damaged = join(hub.options.cacheDir, blob);
    writeFileSync(damaged, Buffer.alloc(lstatSync(damaged).size));
    const error = await rejectionOf(download({ ...request, offline: true, output: 'w' }));
    expect(error.problem).toMatch(/is not what the Hub has: it was damaged in the cache\.$/);
    expect(existsSync('w')).toBe(false);
  });
});

describe('a checkpoint', () => {
  test('stays in the cache unless an output is given', async () => {
    const { path, files } = await download({ ...hub.options, repo: 'org/model' });
    expect(path.startsWith(hub.options.cacheDir)).toBe(true);
    expect(files.map(({ name }) => name).sort()).toEqual(neededFiles);
    expect(filesBelow('.')).toEqual([]);
  });

  test('is laid out as real files, of which only weights take no room of their own', async () => {
    await download({ ...hub.options, repo: 'org/model', output: 'out' });
    expect(filesBelow('out')).toEqual(neededFiles);
    for (const name of neededFiles) {
      expect(lstatSync(join('out', name)).isFile()).toBe(true);
      expect(statSync(join('out', name)).nlink).toBe(/\.(safetensors|bin)$/.test(name) ? 2 : 1);
      expect(readFileSync(join('out', name)).equals(checkpointFiles[name] ?? Buffer.of())).toBe(true);
    }
  });

  test('whose files are there keeps those that are whole and replaces the others', async () => {
    await download({ ...hub.options, repo: 'org/model', output: 'out' });
    const [whole, cut] = ['out/vae/config.json', 'out/unet/config.json'];
    const { ino } = statSync(whole);
    const found = readFileSync(cut);
    // A file of its own: what is written through a second name would also be in the cache.
    const rest = join('out', 'rest');
    writeFileSync(rest, found.subarray(0, 3));
    renameSync(rest, cut);
    await download({ ...hub.options, repo: 'org/model', output: 'out' });
    expect(statSync(whole).ino).toBe(ino);
    expect(readFileSync(cut).equals(found)).toBe(true);
  });

  test('whose files are there with other bytes of the same length are replaced', async () => {
    await download({ ...hub.options, repo: 'org/model', output: 'out' });
    const changed = join('out', 'unet/diffusion_pytorch_model.safetensors');
    const found = readFileSync(changed);
    rmSync(changed);
    writeFileSync(changed, Buffer.alloc(found.length));
    await download({ ...hub.options, repo: 'org/model', output: 'out' });
    expect(readFileSync(changed).equals(found)).toBe(true);
  });

  test('is not laid out into another one, or into a conversion: their files would mix', async () => {
    await download({ ...hub.options, repo: 'org/model', output: 'out' });
    const index = { ...JSON.parse(readFileSync('out/model_index.json', 'utf8')), _name_or_path: 'other' };
    const files = { ...checkpointFiles, 'model_index.json': Buffer.from(JSON.stringify(index)) };
    hub.server.repositories.set('org/other', repository(files));
    const error = await rejectionOf(download({ ...hub.options, repo: 'org/other', output: 'out' }));
    expect(error.problem).toBe('out holds something else than org/other: their files would mix.');
    mkdirSync('converted');
    writeFileSync('converted/sdconvert.json', '{}');
    const converted = download({ ...hub.options, repo: 'org/model', output: 'converted' });
    await expect(converted).rejects.toThrow('converted holds something else');
    expect(filesBelow('converted')).toEqual(['sdconvert.json']);
  });

  test('comes with the weights of a variant', async () => {
    const { files } = await download({ ...hub.options, repo: 'org/model', variant: 'fp16' });
    expect(files.map(({ name }) => name)).toContain('unet/diffusion_pytorch_model.fp16.safetensors');
  });

  test('in a single file is that file', async () => {
    const { path } = await download({ ...hub.options, repo: 'org/model/model.ckpt', output: 'one' });
    expect(filesBelow(path)).toEqual(['model.ckpt']);
  });
});

test.each(['original', '../packages', '/etc', 'original/../..'])(
  'a variant called %s is refused, and nothing asked',
  async (variant) => {
    const error = await rejectionOf(download({ ...hub.options, repo: ready, variant, output: 'out' }));
    expect(error).toBeInstanceOf(RequestError);
    expect(error.advice).toContain('original/packages');
    expect(hub.server.seen).toEqual([]);
    expect(existsSync('out')).toBe(false);
  },
);

test.each(['', './here', 'a b', 'https://civitai.com/models/1'])(
  'a repository called %j is refused, and nothing asked',
  async (repo) => {
    const error = await rejectionOf(download({ ...hub.options, repo }));
    expect(error).toBeInstanceOf(RequestError);
    expect(hub.server.seen).toEqual([]);
  },
);

test('the address of a folder of ready-made models is as good as its --variant', async () => {
  const repo = `${hub.server.url}/${ready}/tree/main/original/packages`;
  const { files } = await download({ ...hub.options, repo, output: temporary('by-address') });
  const { files: same } = await download({
    ...hub.options,
    repo: ready,
    variant: 'original/packages',
    output: temporary('by-variant'),
  });
  expect(files).toEqual(same);
});
