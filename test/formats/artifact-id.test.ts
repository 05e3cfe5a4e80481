import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NetworkName, networkKinds } from '../../src/convert/networks/networks.ts';

import {
  chunkName,
  chunkTitle,
  isWrittenName,
  type Naming,
  nameOf,
  parseChunkTitle,
  parseName,
  parsePath,
  wholePath,
} from '../../src/formats/artifact-id.ts';
import { type Format, modelName } from '../../src/formats/format.ts';

const networks = [...networkKinds, 'controlnet_1', 'controlnet_12'] satisfies NetworkName[];
const chunks = fc.option(fc.record({ index: fc.integer({ min: 1, max: 200 }) }), { nil: undefined });
/** Hub ids and names of checkpoints, some of them like names of networks and chunks. */
const origins = fc.oneof(
  fc.stringMatching(/^[\w.-]{1,12}(\/[\w.-]{1,12})?$/),
  fc.constantFrom('my_unet', 'Unet', 'controlnet', 'x_chunk1', 'ControlNet_x', 'stabilityai/sd-turbo'),
);

describe('a name says which model it is', () => {
  test('what a network is called here or by Apple’s tool is read back as the same network and chunk', () => {
    const namings = fc.oneof(
      fc.constant<Naming>({ by: 'sdconvert' }),
      origins.map((origin): Naming => ({ by: 'apple', origin })),
      origins.map((origin): Naming => ({ by: 'swift', origin })),
    );
    fc.assert(
      fc.property(fc.constantFrom(...networks), chunks, namings, (network, chunk, naming) => {
        const isControlNet = network.startsWith('controlnet');
        // Swift calls a ControlNet by its id alone, Apple's tool by its id and a prefix: neither has numbers.
        fc.pre(!isControlNet || naming.by !== 'swift');
        // A whole ControlNet that is itself called like a chunk cannot be told from one.
        fc.pre(!isControlNet || naming.by !== 'apple' || parseName(naming.origin).chunk === undefined);
        const name = nameOf({ network, chunk }, naming);
        const expected = isControlNet && naming.by === 'apple' ? 'controlnet' : network;
        expect(parseName(name)).toMatchObject({ network: expected, chunk });
      }),
    );
  });

  test('it is that of a conversion where one writes a model of that format under it', () => {
    const written: [Format, Naming['by']][] = [
      ['onnx', 'sdconvert'],
      ['mlpackage', 'apple'],
      ['mlmodelc', 'swift'],
      ['aimodel', 'swift'],
    ];
    fc.assert(
      fc.property(fc.constantFrom(...networks), chunks, origins, (network, chunk, origin) => {
        fc.pre(!network.startsWith('controlnet'));
        for (const [format, by] of written)
          expect(isWrittenName(nameOf({ network, chunk }, { by, origin }), format)).toBe(true);
      }),
    );
    for (const format of ['mlpackage', 'aimodel'] as const)
      expect(isWrittenName(nameOf({ network: 'controlnet_2' }, { by: 'apple', origin: 'a/b' }), format)).toBe(
        true,
      );
    expect(isWrittenName('controlnet_12', 'onnx')).toBe(true);
    for (const name of [
      'holiday',
      'my_unet',
      'Unet',
      'unet_chunk01',
      'Stable_Diffusion_version_x_unet',
      'ControlNet_x',
    ])
      expect(isWrittenName(name, 'onnx')).toBe(false);
    for (const name of ['thesis', 'unet', 'my_unet', 'Unet', 'Stable_Diffusion_version_x_thesis'])
      expect(isWrittenName(name, 'mlpackage')).toBe(false);
    for (const name of ['holiday', 'unet', 'ControlNet_x', 'Chunk1'])
      expect(isWrittenName(name, 'mlmodelc')).toBe(false);
  });

  test('any name is its whole and its chunk, and nothing else', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), chunks, (whole, chunk) => {
        fc.pre(parseName(whole).chunk === undefined);
        const name = chunkName(whole, chunk);
        expect(parseName(name)).toMatchObject({ whole, chunk });
        expect(parseName(name).network).toBe(parseName(whole).network);
      }),
    );
  });

  test.each([
    ['unet', 'unet', undefined],
    ['unet_chunk10', 'unet', 10],
    ['UnetChunk2', 'unet', 2],
    ['Unet_chunk2', 'unet', 2],
    ['ControlledUnet', 'control-unet', undefined],
    ['Stable_Diffusion_version_stabilityai_sd-turbo_control-unet_chunk1', 'control-unet', 1],
    ['Stable_Diffusion_version_my_unet_vae_decoder', 'vae_decoder', undefined],
    ['ControlNet_lllyasviel_sd-controlnet-mlsd', 'controlnet', undefined],
    ['text_encoder_2', 'text_encoder_2', undefined],
    ['controlnet_3', 'controlnet_3', undefined],
    ['resnet_chunk1', undefined, 1],
    ['unet_chunk0', undefined, undefined],
    ['chunk1', undefined, undefined],
  ])('%s', (name, network, index) => {
    expect(parseName(name)).toMatchObject({ network, chunk: index === undefined ? undefined : { index } });
  });

  test('a path is called by its folder or file, whatever the format; Swift’s ControlNets by where they are', () => {
    expect(parsePath('out/onnx/unet_chunk2/model.onnx').chunk).toEqual({ index: 2 });
    expect(parsePath('a/UnetChunk1.mlmodelc/').network).toBe('unet');
    expect(parsePath('Resources/controlnet/MeCanny.mlmodelc').network).toBe('controlnet');
    expect(modelName('a/b.v1.5')).toBe('b.v1.5');
    expect(wholePath('a/x_unet_chunk2.mlpackage')).toBe('a/x_unet.mlpackage');
    expect(wholePath('onnx/unet_chunk2')).toBe('onnx/unet');
    expect(wholePath('onnx/unet')).toBe('onnx/unet');
  });

  test('an ONNX file’s own words for a chunk are read back', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (index, of) => {
        expect(parseChunkTitle(chunkTitle({ index, of }))).toEqual({ index, of });
      }),
    );
    expect(parseChunkTitle('the first')).toBeUndefined();
  });
});
