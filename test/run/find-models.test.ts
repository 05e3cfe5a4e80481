import { describe, expect, test } from 'vitest';
import { NotFoundError } from '../../src/errors.ts';
import { makeFolder, writeText } from '../../src/io/disk.ts';
import { findModels } from '../../src/run/find-models.ts';
import { readModelSettings } from '../../src/validate/model-settings.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

/** Models by their folders; what is in them is not read here. */
async function write(root: string, ...folders: string[]): Promise<string> {
  for (const folder of folders) await writeText(at(root, folder, 'model.onnx'), '');
  return at(root);
}

async function found(path: string): Promise<unknown> {
  const models = await findModels(path);
  return models.map(({ name, paths }) => [name, paths.map((each) => each.slice(at().length + 1))]);
}

describe('the models that a path stands for', () => {
  test('chunks are one model, in the order of their numbers', async () => {
    const chunks = Array.from({ length: 11 }, (_, i) => `unet_chunk${i + 1}`);
    const root = await write('chunks', ...chunks.toSorted(), 'vae_decoder');
    const paths = chunks.map((chunk) => `chunks/${chunk}`);
    expect(await found(root)).toEqual([
      ['unet', paths],
      ['vae_decoder', ['chunks/vae_decoder']],
    ]);
    expect(await found(at('chunks', 'unet_chunk10'))).toEqual([['unet', paths]]);
    expect(await found(at('chunks', 'unet'))).toEqual([['unet', paths]]);
  });

  test('a whole model and its chunks are two', async () => {
    const root = await write('both', 'unet', 'unet_chunk1', 'unet_chunk2');
    expect(await found(root)).toEqual([
      ['unet', ['both/unet']],
      ['unet', ['both/unet_chunk1', 'both/unet_chunk2']],
    ]);
    expect(await found(at('both', 'unet'))).toEqual([['unet', ['both/unet']]]);
  });

  test('a name that is not there is no other model of the same network', async () => {
    const root = await write('other', 'unet', 'unet_chunk1');
    await makeFolder(at('other', 'x_unet.mlpackage'));
    await expect(findModels(`${root}/mixed_unet.mlpackage`)).rejects.toThrow(/does not exist/);
  });

  test('an output folder’s are those of its onnx folder, other folders aside', async () => {
    await write('output/onnx', 'unet', 'text_encoder');
    await makeFolder(at('output', 'onnx', 'scheduler'));
    expect(await found(at('output'))).toEqual([
      ['text_encoder', ['output/onnx/text_encoder']],
      ['unet', ['output/onnx/unet']],
    ]);
    expect(await found(`${at('output', 'onnx', 'unet')}/`)).toEqual([['unet', ['output/onnx/unet']]]);
  });

  test('an output folder’s assets for Apple’s pipelines are found, after its other models', async () => {
    await makeFolder(at('apple', 'CoreAI', 'Unet.aimodel'));
    expect(await found(at('apple'))).toEqual([['unet', ['apple/CoreAI/Unet.aimodel']]]);
    await write('apple/onnx', 'unet');
    expect(await found(at('apple'))).toEqual([
      ['unet', ['apple/onnx/unet']],
      ['unet', ['apple/CoreAI/Unet.aimodel']],
    ]);
  });

  test('what Apple’s tool and its Swift package call networks is understood, ControlNets too', async () => {
    const packages = ['text_encoder_2', 'refiner', 'control-unet', 'safety_checker'];
    for (const name of packages) await makeFolder(at('names', `x_${name}.mlpackage`));
    await makeFolder(at('names', 'ControlNet_me_canny.mlpackage'));
    expect((await findModels(at('names'))).map(({ name }) => name).sort()).toEqual(
      ['controlnet', ...packages].sort(),
    );
    const bundles = [
      'TextEncoder2',
      'UnetRefinerChunk1',
      'UnetRefinerChunk2',
      'ControlledUnet',
      'SafetyChecker',
    ];
    for (const name of [...bundles, 'controlnet/MeCanny']) await makeFolder(at('swift', `${name}.mlmodelc`));
    expect((await findModels(at('swift'))).map(({ name, paths }) => [name, paths.length]).sort()).toEqual([
      ['control-unet', 1],
      ['controlnet', 1],
      ['refiner', 2],
      ['safety_checker', 1],
      ['text_encoder_2', 1],
    ]);
  });

  test('a file may have any name', async () => {
    await writeText(at('files', 'my-unet.onnx'), '');
    expect(await found(at('files', 'my-unet.onnx'))).toEqual([['my-unet', ['files/my-unet.onnx']]]);
  });

  test('nothing, and a folder without models, are refused', async () => {
    await makeFolder(at('empty'));
    await expect(findModels(at('absent'))).rejects.toThrow(/absent does not exist[\s\S]*model\.onnx/);
    await expect(findModels(at('absent.onnx'))).rejects.toThrow(NotFoundError);
    await expect(findModels(at('empty'))).rejects.toThrow(/empty holds no model that can be run/);
  });
});

describe('the settings of models', () => {
  test('come from the configs beside them, in a checkpoint or an ONNX folder', async () => {
    await writeText(at('a', 'unet', 'config.json'), '{"sample_size": 96, "cross_attention_dim": 1024}');
    await writeText(at('a', 'vae', 'config.json'), '{"scaling_factor": 0.5}');
    await writeText(at('a', 'text_encoder', 'config.json'), '{"vocab_size": 1000}');
    const { scalingFactor, ...others } = await readModelSettings(at('a'));
    expect([scalingFactor, others]).toEqual([
      0.5,
      { sampleSize: 96, textChannels: 1024, vocabularySize: 1000, padding: 999 },
    ]);
    await writeText(
      at('b', 'unet_chunk1', 'config.json'),
      '{"sample_size": 8, "cross_attention_dim": [1, 2]}',
    );
    await writeText(at('b', 'vae_decoder', 'config.json'), '{"scaling_factor": 0.25}');
    expect(await readModelSettings(at('b'))).toEqual({ sampleSize: 8, scalingFactor: 0.25 });
  });
});
