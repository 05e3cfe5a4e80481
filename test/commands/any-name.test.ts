import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlePackages } from '../../src/commands/bundle.ts';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import { compilePackage } from '../../src/commands/compile.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { validate } from '../../src/commands/validate.ts';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../src/errors.ts';
import { openArtifact } from '../../src/formats/open.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();
const checkpoint = join(import.meta.dirname, '../../models/sd-shapes');
const packageOf = (network: string) => `out/Stable_Diffusion_version_sd-shapes_${network}.mlpackage`;
const original = packageOf('text_encoder');

beforeAll(async () => {
  await convertCheckpoint({
    modelVersion: checkpoint,
    output: at('out'),
    models: ['text_encoder', 'vae_encoder'],
  });
});

/** What each command that takes a package makes of the one at a path. */
const commands: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  inspect: async (path) => {
    const { kind, problems, next } = await inspect({ path });
    expect(next).toEqual({ command: `sdconvert validate ${path} --reference CHECKPOINT` });
    return { kind, problems };
  },
  validate: async (path) => {
    const [verdict, ...others] = await validate({ artifact: path, reference: at(original), minPsnr: 100 });
    return { pass: verdict?.pass, others };
  },
  run: async (path) => {
    const ids = { dtype: 'i64', shape: [1, 77], data: new BigInt64Array(77).fill(7n) } as const;
    return [...(await runArtifacts({ artifacts: [path], inputs: new Map([['input_ids', ids]]) })).keys()];
  },
  chunk: async (path) => (await chunkArtifact({ artifact: path, maxChunkBytes: 6.5e6, force: true })).length,
  quantize: async (path) => {
    const output = at('quantized.mlpackage');
    const plan = planQuantization({ bits: 4 });
    return (await quantizeArtifact({ artifact: path, output, plan, force: true })).weights.length > 0;
  },
  'quantize in its place': async (path) => {
    const copy = `${path}-copy`;
    cpSync(path, copy, { recursive: true });
    const plan = planQuantization({ bits: 4 });
    return (await quantizeArtifact({ artifact: copy, plan, inPlace: true })).path === copy;
  },
  compile: async (path) =>
    existsSync(
      join(
        (await compilePackage({ package: path, output: at('X.mlmodelc'), force: true })).path,
        'model.mil',
      ),
    ),
  bundle: async (path) => {
    const folder = at('bundled');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    cpSync(path, join(folder, path.split('/').at(-1) ?? ''), { recursive: true });
    const { files } = await bundlePackages({ folder, tokenizer: at('out/onnx/tokenizer'), compiler: 'own' });
    return files.map(({ name }) => name.split('/')[0]).includes('TextEncoder.mlmodelc');
  },
};

describe.each(Object.keys(commands))('%s takes a package', (name) => {
  const command = commands[name] ?? (() => Promise.reject(new Error(name)));
  test.each([
    ['without an ending', 'my_text_encoder'],
    ['with another format’s ending', 'your_text_encoder.mlmodelc'],
    ['called as its ONNX folder is', 'text_encoder'],
  ])('%s as it takes one with its own', async (_, folder) => {
    rmSync(at(folder), { recursive: true, force: true });
    cpSync(at(original), at(folder), { recursive: true });
    expect(await command(at(folder))).toEqual(await command(at(original)));
  });
});

test('what is made of a model lies beside it, though the path is the folder that one is in', async () => {
  const chunk = { index: 1 };
  for (const [path, chunkPath] of [
    [original, 'out/Stable_Diffusion_version_sd-shapes_text_encoder_chunk1.mlpackage'],
    ['out/onnx/text_encoder', 'out/onnx/text_encoder_chunk1'],
  ] as const)
    expect((await openArtifact(`${at(path)}/.`)).chunkPath(chunk)).toBe(at(chunkPath));
});

describe('bundle in a folder of packages', () => {
  const notes: string[] = [];
  const bundle = async (names: Readonly<Record<string, string>>) => {
    const folder = at('renamed');
    rmSync(folder, { recursive: true, force: true });
    for (const [name, network] of Object.entries(names))
      cpSync(at(packageOf(network)), join(folder, name), { recursive: true });
    notes.length = 0;
    const { files } = await bundlePackages(
      { folder, tokenizer: at('out/onnx/tokenizer'), compiler: 'own' },
      { onProgress: (event) => event.type === 'note' && notes.push(event.message.replaceAll(folder, '')) },
    );
    return [...new Set(files.map(({ name }) => name.split('/')[0]))].filter((name) => name?.endsWith('c'));
  };

  test('tells networks by content where names do not', async () => {
    expect(await bundle({ first: 'text_encoder', 'second.mlpackage': 'vae_encoder' })).toEqual([
      'TextEncoder.mlmodelc',
      'VAEEncoder.mlmodelc',
    ]);
    expect(notes).toEqual([]);
  });

  test('takes the one that is called so, and says which it leaves out', async () => {
    expect(await bundle({ 'a backup': 'text_encoder', x_text_encoder: 'text_encoder' })).toEqual([
      'TextEncoder.mlmodelc',
    ]);
    expect(notes).toEqual(['/a backup is left out: /x_text_encoder is the text_encoder by its name.']);
  });

  test.each([
    ['called so', 'a_text_encoder', 'b_text_encoder'],
    ['with that content', 'one', 'two'],
  ])('refuses two of one network, both %s', async (_, one, two) => {
    const error = await rejectionOf(bundle({ [one]: 'text_encoder', [two]: 'text_encoder' }));
    expect(error.problem).toBe(`${at('renamed')} has two packages of one network: text_encoder.`);
  });
});

describe('what decides what a path is', () => {
  test.each([
    ['a compiled model in a folder that is called otherwise', 'compiled', 'mlmodelc'],
    ['an ONNX model’s folder with a package’s ending', 'onnx.mlpackage', 'onnx'],
    ['an ONNX file of any name', 'model.backup', 'onnx'],
    ['a package that lost its manifest, by its ending', 'broken.mlpackage', 'mlpackage'],
  ])('%s', async (_, name, format) => {
    await compilePackage({ package: at(original), output: at('X.mlmodelc'), force: true });
    cpSync(at('X.mlmodelc'), at('compiled'), { recursive: true });
    cpSync(at('out/onnx/text_encoder'), at('onnx.mlpackage'), { recursive: true });
    cpSync(at('out/onnx/text_encoder/model.onnx'), at('model.backup'));
    cpSync(at(original), at('broken.mlpackage'), { recursive: true });
    rmSync(at('broken.mlpackage/Manifest.json'), { force: true });
    expect((await openArtifact(at(name))).format).toBe(format);
  });

  test('what is no artifact gets one sentence that says what is there', async () => {
    writeFileSync(at('page.onnx.html'), '<!doctype html><html></html>');
    writeFileSync(at('notes.txt'), 'notes');
    const page = await rejectionOf(openArtifact(at('page.onnx.html')));
    expect(page).toBeInstanceOf(FileFormatError);
    expect(page.details).toMatchObject({ found: 'a web page, not a weight file' });
    const notes = await rejectionOf(openArtifact(at('notes.txt')));
    expect(notes).toBeInstanceOf(UnsupportedModelError);
    const folder = await rejectionOf(openArtifact(at('out/onnx')));
    expect(folder.problem).toBe(`${at('out/onnx')} is not a model that can be opened.`);
    expect(folder.advice).toBe(`Name one of the models in it, such as ${at('out/onnx/text_encoder')}.`);
    expect(await rejectionOf(openArtifact(at('absent')))).toBeInstanceOf(NotFoundError);
  });
});
