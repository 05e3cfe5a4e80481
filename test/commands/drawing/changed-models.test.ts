import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundlePackages } from '../../../src/commands/bundle.ts';
import { chunkArtifact } from '../../../src/commands/chunk.ts';
import { compilePackage } from '../../../src/commands/compile.ts';
import { convertCheckpoint } from '../../../src/commands/convert.ts';
import { generate } from '../../../src/commands/generate.ts';
import { quantizeArtifact } from '../../../src/commands/quantize.ts';
import { validate } from '../../../src/commands/validate.ts';
import type { Context, ProgressEvent } from '../../../src/context.ts';
import { decodeModel, encodeModel } from '../../../src/formats/onnx/proto.ts';
import { planQuantization } from '../../../src/quantize/plan.ts';
import { sdShapes } from '../../support/sd-shapes.ts';
import { makeSeededCheckpoint } from '../../support/seeded-checkpoint.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();
const request = { prompt: 'a red circle', steps: 1, seed: 1 };

beforeAll(async () => {
  for (const [name, seed] of [
    ['own', 1],
    ['other', 2],
  ] as const) {
    const modelVersion = await makeSeededCheckpoint(at(`checkpoint ${name}`), seed);
    for (const part of ['tokenizer', 'scheduler'])
      cpSync(join(sdShapes, part), join(modelVersion, part), { recursive: true });
    const sizes = { latentHeight: 8, latentWidth: 8 };
    const given = { modelVersion, sizes, targets: ['onnx', 'coreml'] } as const;
    await convertCheckpoint({ ...given, output: at(name) });
    await convertCheckpoint({
      ...given,
      output: at(`${name} chunks`),
      models: ['unet'],
      maxChunkBytes: 200_000,
    });
  }
}, 120_000);

/** A folder of models with something changed in it. */
function changed(of: string, format: 'onnx' | 'Resources', change: (folder: string) => void): string {
  const folder = at(`changed ${++count}`);
  cpSync(join(at(of), format), folder, { recursive: true });
  if (of.endsWith('chunks')) addOthers(folder, at(of.replace(' chunks', '')), format);
  change(folder);
  return folder;
}

let count = 0;

function addOthers(folder: string, whole: string, format: 'onnx' | 'Resources'): void {
  const unet = format === 'onnx' ? 'unet' : 'Unet.mlmodelc';
  cpSync(join(whole, format), folder, {
    recursive: true,
    filter: (path) => path !== join(whole, format, unet),
  });
}

/** The sentence that refuses to draw with a folder, and that nothing was written. */
async function refusalOf(input: string): Promise<string> {
  const output = at(`pictures ${count}`);
  const error = await generate({ ...request, input, output }).then(
    () => new Error('a picture was drawn'),
    (thrown: Error) => thrown,
  );
  expect(existsSync(output)).toBe(false);
  return error.message;
}

async function notesOf(input: string, prompt: string | string[] = request.prompt): Promise<string[]> {
  const notes: string[] = [];
  await generate(
    { ...request, prompt, input, output: at(`pictures ${count}`) },
    {
      onProgress: (event) =>
        event.type === 'note' && !event.message.startsWith('assuming') && notes.push(event.message),
    },
  );
  return notes;
}

/** Sets a size that an ONNX model declares for its first input. */
function setSize(file: string, axis: number, size: number): void {
  const model = decodeModel(readFileSync(file));
  const dim = model.graph?.input?.[0]?.type?.tensorType?.shape?.dim?.[axis];
  if (!dim) throw new Error(`${file} declares no shape`);
  delete dim.dimParam;
  dim.dimValue = size;
  writeFileSync(file, encodeModel(model));
}

test.each<[string, (folder: string) => string, (artifact: string, context: Context) => Promise<unknown>]>([
  [
    'chunk',
    onnxUnet,
    (artifact, context) => chunkArtifact({ artifact, output: at('cut'), maxChunkBytes: 200_000 }, context),
  ],
  [
    'quantize',
    onnxUnet,
    (artifact, context) =>
      quantizeArtifact({ artifact, output: at('quantised'), plan: planQuantization({ bits: 8 }) }, context),
  ],
  [
    'compile',
    packagedUnet,
    (path, context) => compilePackage({ package: path, output: at('compiled.mlmodelc') }, context),
  ],
])('%s tells a file of another size than on record', async (_, path, call) => {
  const folder = at(`sizes ${++count}`);
  cpSync(at('own'), folder, { recursive: true });
  const artifact = path(folder);
  const [name = ''] = readdirSync(artifact, { recursive: true })
    .map(String)
    .filter((each) => /onnx_data$|weight\.bin$/.test(each));
  appendFileSync(join(artifact, name), Buffer.alloc(64));
  const notes: string[] = [];
  const onProgress = (event: ProgressEvent) => {
    if (event.type === 'note') notes.push(event.message);
  };
  await call(artifact, { onProgress });
  expect(notes).toContainEqual(
    expect.stringMatching(/ has \d+ bytes, but \d+ were written\. If that is not/),
  );
});

function onnxUnet(folder: string): string {
  return join(folder, 'onnx/unet');
}

function packagedUnet(folder: string): string {
  return join(folder, 'Stable_Diffusion_version_checkpoint own_unet.mlpackage');
}

describe('bundle does not compile packages that are no model', () => {
  const packageOf = (folder: string, chunk: number) =>
    join(folder, `Stable_Diffusion_version_checkpoint own_unet_chunk${chunk}.mlpackage`);
  const bundled = async (change: (folder: string) => void) => {
    const folder = at(`packages ${++count}`);
    cpSync(at('own chunks'), folder, { recursive: true });
    change(folder);
    const notes: string[] = [];
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'note') notes.push(event.message);
    };
    await bundlePackages({ folder }, { onProgress });
    return notes;
  };

  test('a chunk is missing', async () => {
    await expect(bundled((folder) => rmSync(packageOf(folder, 1), { recursive: true }))).rejects.toThrow(
      'is chunk 2 of its model, and there is no chunk 1.',
    );
  });

  test('chunks have changed their places', async () => {
    const swap = (folder: string) => {
      renameSync(packageOf(folder, 1), at('put aside'));
      renameSync(packageOf(folder, 2), packageOf(folder, 1));
      renameSync(at('put aside'), packageOf(folder, 2));
    };
    await expect(bundled(swap)).rejects.toThrow('takes what no chunk before it gives');
  });

  test('a file of another size than on record is told', async () => {
    const notes = await bundled((folder) =>
      appendFileSync(
        join(packageOf(folder, 1), 'Data/com.apple.CoreML/weights/weight.bin'),
        Buffer.alloc(64),
      ),
    );
    expect(notes).toContainEqual(
      expect.stringMatching(/unet_chunk1\.mlpackage\/Data\/.* has \d+ bytes, but \d+ were/),
    );
  });
});

describe('generate does not draw with models that are not what they say', () => {
  test('a number of rows that no model has, which would all be computed', async () => {
    const input = changed('own', 'onnx', (folder) =>
      setSize(join(folder, 'vae_decoder/model.onnx'), 0, 3000),
    );
    expect(await refusalOf(input)).toContain(
      `${join(input, 'vae_decoder')} declares an input of a size that no model is made for.`,
    );
  });

  test('a size of −1 is a free one, as for onnxruntime', async () => {
    const input = changed('own', 'onnx', (folder) => setSize(join(folder, 'unet/model.onnx'), 2, -1));
    expect(await notesOf(input)).toEqual([]);
  });

  test.each(['coremldata.bin', 'model.mil'])('%s of another network in a compiled model', async (name) => {
    const input = changed('own', 'Resources', (folder) => {
      cpSync(join(folder, 'TextEncoder.mlmodelc', name), join(folder, 'VAEDecoder.mlmodelc', name));
      if (name === 'model.mil')
        cpSync(join(folder, 'TextEncoder.mlmodelc/weights'), join(folder, 'VAEDecoder.mlmodelc/weights'), {
          recursive: true,
        });
    });
    expect(await refusalOf(input)).toContain(
      `${join(input, 'VAEDecoder.mlmodelc')} contradicts itself: its program has other inputs than its description.`,
    );
  });

  test.each([
    ['onnx', 'unet_chunk1', 'unet_chunk2'],
    ['Resources', 'UnetChunk1.mlmodelc', 'UnetChunk2.mlmodelc'],
  ] as const)('a chunk is missing in %s', async (format, first, second) => {
    const withoutLast = changed('own chunks', format, (folder) =>
      rmSync(join(folder, second), { recursive: true }),
    );
    const sentence = await refusalOf(withoutLast);
    expect(sentence).toContain(`${join(withoutLast, first)}`);
    expect(sentence).toContain('is not the last chunk of its model, and there is none after it.');
    const withoutFirst = changed('own chunks', format, (folder) =>
      rmSync(join(folder, first), { recursive: true }),
    );
    expect(await refusalOf(withoutFirst)).toContain('is chunk 2 of its model, and there is no chunk 1.');
  });

  test('a chunk of another checkpoint', async () => {
    const input = changed('own chunks', 'Resources', (folder) =>
      cpSync(join(at('other chunks'), 'Resources/UnetChunk2.mlmodelc'), join(folder, 'UnetChunk2.mlmodelc'), {
        recursive: true,
      }),
    );
    expect(await refusalOf(input)).toContain('are chunks of two models.');
  });

  test('models of two checkpoints, which may be on purpose, are told', async () => {
    const input = changed('own', 'Resources', (folder) =>
      cpSync(join(at('other'), 'Resources/VAEDecoder.mlmodelc'), join(folder, 'VAEDecoder.mlmodelc'), {
        recursive: true,
      }),
    );
    expect(await notesOf(input)).toEqual([
      'the models say that they are of several checkpoints: unet and text_encoder of checkpoint own, vae_decoder of checkpoint other. If that is not on purpose, take all of them from one conversion.',
    ]);
    expect(await notesOf(changed('own', 'Resources', () => {}))).toEqual([]);
  });

  test('files of another size than on record, which validate tells, too', async () => {
    const input = at('other size');
    cpSync(at('own'), input, { recursive: true });
    appendFileSync(join(input, 'onnx/vae_decoder/model.onnx_data'), 'x');
    const told =
      /^onnx\/vae_decoder\/model\.onnx_data has \d+ bytes, but \d+ were written\. If that is not on purpose, convert it again/;
    expect(await notesOf(input)).toEqual([expect.stringMatching(told)]);
    expect(await notesOf(join(input, 'onnx'))).toEqual([expect.stringMatching(told)]);
    const notes: string[] = [];
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'note') notes.push(event.message);
    };
    const reference = at('checkpoint own');
    for (const artifact of ['onnx/vae_decoder', 'onnx/vae_decoder/model.onnx', 'onnx/vae_encoder'])
      await validate({ artifact: join(input, artifact), reference }, { onProgress });
    expect(notes).toEqual([expect.stringMatching(told), expect.stringMatching(told)]);
    rmSync(join(input, 'onnx/vae_encoder'), { recursive: true });
    await validate({ artifact: join(input, 'onnx'), reference }, { onProgress });
    expect(notes[2]).toContain('onnx/vae_encoder/model.onnx is missing.');
    writeFileSync(join(input, 'sdconvert.json'), '{');
    await validate({ artifact: join(input, 'onnx/vae_decoder'), reference }, { onProgress });
    expect(notes[3]).toContain('sdconvert.json is not valid JSON.');
  });

  test('a VAE that the conversion was told to take is nothing to tell', async () => {
    await convertCheckpoint({
      modelVersion: at('checkpoint own'),
      customVaeVersion: join(at('checkpoint other'), 'vae'),
      sizes: { latentHeight: 8, latentWidth: 8 },
      targets: ['coreml'],
      output: at('custom'),
    });
    expect(await notesOf(at('custom'))).toEqual([]);
    expect(await notesOf(join(at('custom'), 'Resources'))).toEqual([]);
  });

  test('merges.txt that was cut between two lines, once for all prompts', async () => {
    const input = changed('own', 'onnx', (folder) => {
      const file = join(folder, 'tokenizer/merges.txt');
      cpSync(join(sdShapes, 'tokenizer'), join(folder, 'tokenizer'), { recursive: true });
      writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(0, 1001).join('\n'));
    });
    expect(await notesOf(input, ['a', 'b'])).toEqual([
      expect.stringContaining('the tokenizer has 1,000 merges, and its vocab.json words for 48,894'),
    ]);
  });

  test('numbers that are not finite out of the VAE decoder are told', async () => {
    const input = changed('own', 'onnx', (folder) => {
      const file = join(folder, 'vae_decoder/model.onnx_data');
      writeFileSync(file, Buffer.from(readFileSync(file)).fill(0xff, 1000, 3000));
    });
    expect(await notesOf(input)).toEqual([
      expect.stringContaining('the VAE decoder made numbers that are not finite of “a red circle”'),
    ]);
  });
});
