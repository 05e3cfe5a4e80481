import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  bundleSwiftResources,
  type SwiftPackage,
  swiftResourcePaths,
} from '../../src/bundle/swift-resources.ts';
import { bundlePackages } from '../../src/commands/bundle.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { InterruptedError, NotFoundError } from '../../src/errors.ts';
import { type ArtifactId, nameOf } from '../../src/formats/artifact-id.ts';
import { openMlModelC } from '../../src/formats/coreml/compiled/read-bundle.ts';
import { writePackage, writePackageFiles } from '../../src/formats/coreml/package/package.ts';
import { layeredModel } from '../formats/onnx/layered-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const inFolder = temporaryFolder();

async function packagesOf(
  folder: string,
  networks: readonly (ArtifactId['network'] | ArtifactId)[],
): Promise<SwiftPackage[]> {
  return Promise.all(
    networks.map(async (each) => {
      const id = typeof each === 'string' ? { network: each } : each;
      const path = inFolder(folder, `${nameOf(id, { by: 'apple', origin: 'x' })}.mlpackage`);
      await writePackage(path, layeredModel(), () => {});
      return { id, path };
    }),
  );
}

function tokenizerOf(folder: string): string[] {
  mkdirSync(inFolder(folder, 'tokenizer'), { recursive: true });
  return Object.entries({
    'merges.txt': '#version: 0.2\n',
    'special_tokens_map.json': '{}',
    'vocab.json': '{"a</w>":320}',
  }).map(([name, text]) => {
    writeFileSync(inFolder(folder, 'tokenizer', name), text);
    return inFolder(folder, 'tokenizer', name);
  });
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');

test('a tokenizer that is none is told before anything is compiled', async () => {
  const packages = await packagesOf('words', ['unet']);
  writeFileSync(inFolder('words', 'added_tokens.json'), '{"<a>": -1}');
  const tokenizer = [...tokenizerOf('words'), inFolder('words', 'added_tokens.json')];
  const folder = inFolder('words', 'Resources');
  const error = await rejectionOf(bundleSwiftResources({ packages, tokenizer, compiler: 'own' }, folder));
  expect(error.problem).toContain('a number that none can have');
  expect(existsSync(folder)).toBe(false);
});

test("Resources has what Apple's Swift package looks for, and every file is accounted for", async () => {
  const packages = await packagesOf('whole', ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder']);
  const folder = inFolder('whole', 'Resources');
  const written = await bundleSwiftResources(
    { packages, tokenizer: tokenizerOf('whole'), compiler: 'own' },
    folder,
  );
  expect(readdirSync(folder)).toEqual([
    'TextEncoder.mlmodelc',
    'Unet.mlmodelc',
    'VAEDecoder.mlmodelc',
    'VAEEncoder.mlmodelc',
    'merges.txt',
    'vocab.json',
  ]);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1));
  expect(written.map(({ name }) => name).sort()).toEqual(paths.sort());
  for (const { name, byteLength, sha256: hash } of written) {
    expect(byteLength, name).toBe(statSync(join(folder, name)).size);
    expect(hash, name).toBe(sha256(join(folder, name)));
  }
  const opened = await openMlModelC(join(folder, 'Unet.mlmodelc'));
  expect(opened.description.input.map(({ name }) => name)).toEqual(['x', 'unread', 'text']);
  await opened.close();
});

test('every network has the name that Apple’s Swift package looks for, and a ControlNet its own', async () => {
  const packages = [
    ...(await packagesOf('names', [
      'text_encoder_2',
      { network: 'refiner', chunk: { index: 1 } },
      { network: 'refiner', chunk: { index: 2 } },
      'control-unet',
      'safety_checker',
    ])),
    ...['lllyasviel_sd-controlnet-mlsd', 'lllyasviel_control_v11p_sd15_canny'].map((id, index) => {
      const path = inFolder('names', `ControlNet_${id}.mlpackage`);
      return { id: { network: index === 0 ? 'controlnet' : 'controlnet_1' }, path } as const;
    }),
  ];
  for (const { id, path } of packages) {
    if (id.network.startsWith('controlnet')) await writePackage(path, layeredModel(), () => {});
  }
  const folder = inFolder('names', 'Resources');
  await bundleSwiftResources({ packages, tokenizer: [], compiler: 'own' }, folder);
  const names = [
    'ControlledUnet.mlmodelc',
    'SafetyChecker.mlmodelc',
    'TextEncoder2.mlmodelc',
    'UnetRefinerChunk1.mlmodelc',
    'UnetRefinerChunk2.mlmodelc',
    'controlnet',
  ];
  expect(readdirSync(folder)).toEqual(names);
  // As Python's str.title has it: a letter behind a digit is a capital, too.
  const controlNets = ['LllyasvielControlV11PSd15Canny.mlmodelc', 'LllyasvielSdControlnetMlsd.mlmodelc'];
  expect(readdirSync(join(folder, 'controlnet'))).toEqual(controlNets);
  expect(swiftResourcePaths(packages, []).sort()).toEqual(
    [...names.slice(0, -1), ...controlNets.map((name) => `controlnet/${name}`)].sort(),
  );
  // The same from the packages' names alone; these chunks are none of a model.
  rmSync(folder, { recursive: true });
  for (const { id, path } of packages) if ('chunk' in id) rmSync(path, { recursive: true });
  await bundlePackages({ folder: inFolder('names'), compiler: 'own' });
  expect(readdirSync(folder)).toEqual(names.filter((name) => !name.includes('Chunk')));
  expect(readdirSync(join(folder, 'controlnet'))).toEqual(controlNets);
});

test('a network is there whole or in chunks, never both: the last bundling counts, and chunks win over their whole', async () => {
  const [whole] = await packagesOf('both', ['unet']);
  const chunks = await packagesOf(
    'forms',
    [1, 2, 3].map((index) => ({ network: 'unet', chunk: { index } })),
  );
  const folder = inFolder('both', 'Resources');
  mkdirSync(join(folder, 'controlnet'), { recursive: true });
  const bundled = async (packages: readonly (SwiftPackage | undefined)[]): Promise<string[]> => {
    const some = packages.filter((each) => each !== undefined);
    await bundleSwiftResources({ packages: some, tokenizer: [], compiler: 'own' }, folder);
    return readdirSync(folder);
  };
  expect(await bundled([whole])).toEqual(['Unet.mlmodelc', 'controlnet']);
  const three = ['UnetChunk1.mlmodelc', 'UnetChunk2.mlmodelc', 'UnetChunk3.mlmodelc', 'controlnet'];
  expect(await bundled([whole, ...chunks])).toEqual(three);
  const two = ['UnetChunk1.mlmodelc', 'UnetChunk2.mlmodelc', 'controlnet'];
  expect(await bundled(chunks.slice(0, 2))).toEqual(two);
  expect(await bundled([whole])).toEqual(['Unet.mlmodelc', 'controlnet']);
  // Another network leaves the UNet alone.
  expect(await bundled(await packagesOf('both', ['vae_decoder']))).toEqual([
    'Unet.mlmodelc',
    'VAEDecoder.mlmodelc',
    'controlnet',
  ]);
});

test('bundling again gives the same bytes, and replaces what is stale', async () => {
  const packages = await packagesOf('again', ['unet']);
  const folder = inFolder('again', 'Resources');
  const bundle = () =>
    bundleSwiftResources({ packages, tokenizer: tokenizerOf('again'), compiler: 'own' }, folder);
  const first = await bundle();
  writeFileSync(join(folder, 'Unet.mlmodelc', 'model.mil'), 'stale');
  writeFileSync(join(folder, 'Unet.mlmodelc', 'left over'), 'stale');
  writeFileSync(join(folder, 'vocab.json'), 'stale');
  expect(await bundle()).toEqual(first);
  for (const { name, sha256: hash } of first) expect(sha256(join(folder, name)), name).toBe(hash);
  expect(readdirSync(join(folder, 'Unet.mlmodelc'))).not.toContain('left over');
});

test('weights that were hashed when the package was written are not read again', async () => {
  const path = inFolder('known', 'unet.mlpackage');
  const files = await writePackageFiles(path, layeredModel(), () => {});
  const marked = files.map((file) => ({
    ...file,
    sha256: file.name.endsWith('weight.bin') ? 'known' : file.sha256,
  }));
  const packages = [{ id: { network: 'unet' }, path, files: marked }] as const;
  const written = await bundleSwiftResources(
    { packages, tokenizer: [], compiler: 'own' },
    inFolder('known', 'Resources'),
  );
  expect(written.filter(({ sha256: hash }) => hash === 'known').map(({ name }) => name)).toEqual([
    'Unet.mlmodelc/weights/weight.bin',
  ]);
});

test('a tokenizer that lacks a file is told of', async () => {
  const packages = await packagesOf('untold', ['unet']);
  const tokenizer = tokenizerOf('untold').filter((path) => !path.endsWith('merges.txt'));
  const events: ProgressEvent[] = [];
  const folder = inFolder('untold', 'Resources');
  const written = await bundleSwiftResources({ packages, tokenizer, compiler: 'own' }, folder, {
    onProgress: (event) => events.push(event),
  });
  expect(events).toEqual([
    { type: 'progress', stage: 'bundle', what: 'Unet.mlmodelc', done: 0, total: 1 },
    { type: 'note', message: `the tokenizer has no merges.txt: ${folder} cannot be loaded without it.` },
  ]);
  expect(written.at(-1)?.name).toBe('vocab.json');
});

test('work that fails or is interrupted leaves earlier bundles as they were, and no half one', async () => {
  const packages = await packagesOf('stopped', ['text_encoder', 'unet']);
  const folder = inFolder('stopped', 'Resources');
  const resources = { packages, tokenizer: [], compiler: 'own' } as const;
  const controller = new AbortController();
  const work = bundleSwiftResources(resources, folder, {
    signal: controller.signal,
    onProgress: (event) => {
      if (event.type === 'progress' && event.what === 'Unet.mlmodelc') controller.abort();
    },
  });
  expect(await rejectionOf(work)).toBeInstanceOf(InterruptedError);
  expect(readdirSync(folder)).toEqual(['TextEncoder.mlmodelc']);
  const missing = { id: { network: 'vae_decoder' }, path: inFolder('stopped', 'missing.mlpackage') } as const;
  const failing = bundleSwiftResources({ ...resources, packages: [missing] }, folder);
  expect(await rejectionOf(failing)).toBeInstanceOf(NotFoundError);
  expect(readdirSync(folder)).toEqual(['TextEncoder.mlmodelc']);
});
