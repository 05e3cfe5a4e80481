import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Checkpoint, Component } from '../../src/checkpoint/checkpoint.ts';
import { attentionImplementations } from '../../src/convert/blocks/attention.ts';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import type { Sizes } from '../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { type ConvertOptions, convert, type Model, networksOf } from '../../src/convert/convert.ts';
import { componentOf, type NetworkName } from '../../src/convert/networks/networks.ts';
import {
  ConfigError,
  MissingWeightError,
  NotFoundError,
  RequestError,
  SdConvertError,
  ShapeError,
  UnusedWeightError,
} from '../../src/errors.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../support/full-size.ts';
import { headerCheckpoint } from '../support/header-checkpoint.ts';
import { unreadWeight } from '../support/memory-weight.ts';
import { thrownBy } from '../support/thrown-by.ts';

const contracts = { optimum: optimumContract, apple: appleContract };
const latent64 = { latentHeight: 64, latentWidth: 64 };
const plain: ConvertOptions = { contract: optimumContract, attention: 'ORIGINAL', sizes: {} };

const fullSize: Readonly<Record<FullSizeModel, readonly NetworkName[]>> = {
  sd15: ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'],
  'sd15-inpainting': ['unet'],
  sd21: ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'],
  'sd21-base': ['text_encoder', 'unet', 'vae_decoder', 'vae_encoder'],
  sdxl: ['text_encoder', 'text_encoder_2', 'unet', 'vae_decoder', 'vae_encoder'],
  'sdxl-refiner': ['text_encoder_2', 'unet'],
  'controlnet-sd15': ['controlnet'],
  'controlnet-sd21': ['controlnet'],
  'controlnet-sdxl': ['controlnet'],
  'safety-checker': ['safety_checker'],
  taesd: ['vae_decoder', 'vae_encoder'],
  'bk-sdm-base': ['unet'],
  'bk-sdm-small': ['unet'],
  'bk-sdm-tiny': ['unet'],
  'ssd-1b': ['unet'],
  'segmind-vega': ['unet'],
  'koala-700m': ['unet'],
  'koala-1b': ['unet'],
};

// as: Object.entries forgets which keys there are.
describe.each(Object.entries(fullSize) as [FullSizeModel, NetworkName[]][])(
  '%s at full size',
  (name, names) => {
    const checkpoint = fullSizeCheckpoint(name);

    describe.each(Object.entries(contracts))('for %s', (_, contract) => {
      test.each(attentionImplementations)(
        'builds with %s, uses every weight once and reads none',
        (attention) => {
          // Neither square, nor a power of two: 96 · 64 tokens and a half, a quarter, an eighth of each side.
          const sizes = { latentHeight: 96, latentWidth: 64 };
          const models = convert(checkpoint, { contract, attention, sizes });
          expect(models.map((model) => model.name)).toEqual(names);
          for (const { graph } of models) verifyGraph(graph);
          for (const [component, { weights }] of checkpoint.components) {
            const used = models.filter((model) => componentOf(model.name) === component).flatMap(weightNames);
            expect(used.toSorted()).toEqual([...weights.keys()].sort());
          }
        },
      );
    });
  },
);

describe.each(['sd15', 'sd15-inpainting', 'sd21', 'sdxl', 'sdxl-refiner'] as const)(
  'the UNet of %s',
  (name) => {
    test('takes a ControlNet’s residuals in both contracts, with the same weights', () => {
      for (const contract of Object.values(contracts)) {
        const models: NetworkName[] = ['unet', 'control-unet'];
        const [alone, controlled] = convert(fullSizeCheckpoint(name), { ...plain, contract, models });
        if (!alone || !controlled) throw new Error('not both were converted');
        verifyGraph(controlled.graph);
        expect(weightNames(controlled)).toEqual(weightNames(alone));
      }
    });
  },
);

describe('a checkpoint that is not exactly of this network', () => {
  const components = fullSizeCheckpoint('sd15').components;

  test.each<[NetworkName, string, string]>([
    ['text_encoder', 'the text encoder', 'text_model.encoder.layers.11.mlp.fc2.bias'],
    ['unet', 'the UNet', 'up_blocks.3.attentions.2.proj_out.weight'],
    ['vae_decoder', 'the VAE decoder', 'post_quant_conv.weight'],
    ['vae_encoder', 'the VAE encoder', 'encoder.conv_norm_out.bias'],
  ])('lacking a weight of the %s is refused by that weight’s name', (model, title, missing) => {
    const error = thrownBy(() => convertModel(model, (weights) => weights.delete(missing)));
    expect(error).toBeInstanceOf(MissingWeightError);
    expect(error.problem).toBe(`${title} needs a weight that this checkpoint does not have.`);
    expect(error.details).toMatchObject({ missing });
  });

  test.each<[NetworkName, string, string]>([
    ['text_encoder', 'the text encoder', 'text_projection.weight'],
    ['unet', 'the UNet', 'class_embedding.weight'],
    ['vae_decoder', 'the VAE decoder', 'decoder.mid_block.attentions.1.to_q.weight'],
    ['vae_encoder', 'the VAE encoder', 'encoder.extra'],
  ])('with a weight that the %s does not know is refused by its name', (model, title, extra) => {
    const error = thrownBy(() =>
      convertModel(model, (weights) => weights.set(extra, unreadWeight(extra, [1]))),
    );
    expect(error).toBeInstanceOf(UnusedWeightError);
    expect(error.problem).toBe(`${title} has no use for 1 weight of this checkpoint.`);
    expect(error.details).toMatchObject({ first: extra });
  });

  test('lacking any weight at all is never taken for another network', () => {
    const names = [...(components.get('unet')?.weights.keys() ?? [])];
    fc.assert(
      fc.property(fc.constantFrom(...names), (name) => {
        expect(() => convertModel('unet', (weights) => weights.delete(name))).toThrow(SdConvertError);
      }),
      { numRuns: 30 },
    );
  });

  test('with a weight of another shape is refused at that weight’s place', () => {
    const name = 'mid_block.attentions.0.transformer_blocks.0.norm2.weight';
    const error = thrownBy(() =>
      convertModel('unet', (weights) => weights.set(name, unreadWeight(name, [640]))),
    );
    expect(error).toBeInstanceOf(ShapeError);
    expect(error.problem).toBe(
      'the shapes do not fit at mid_block.attentions.0.transformer_blocks.0.norm2: the weight [640] is not [1280].',
    );
  });

  test('with heads that do not divide its channels is refused where they do not', () => {
    for (const attention of attentionImplementations) {
      const error = thrownBy(() => convertModel('unet', () => {}, { attention_head_dim: 7 }, attention));
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.problem).toMatch(
        /attention_head_dim = 7 does not divide block_out_channels\[0\] = \d+\.$/,
      );
    }
    const error = thrownBy(() => convertModel('text_encoder', () => {}, { num_attention_heads: 7 }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toMatch(/num_attention_heads = 7 does not divide hidden_size = \d+\.$/);
  });

  test('with sizes that leave the text another width than its encoder gives is refused', () => {
    const xl = fullSizeCheckpoint('sdxl');
    const unet = xl.components.get('unet');
    if (!unet) throw new Error('there is no UNet');
    const config = { ...unet.config, addition_time_embed_dim: 128 };
    const components = new Map(xl.components).set('unet', { ...unet, config });
    const error = thrownBy(() => convert({ ...xl, components }, { ...plain, models: ['unet'] }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.problem).toContain('the UNet takes text of 2048 channels, and the encoder gives 1280');
    expect(error.details).toEqual({ file: unet.configFile });
  });

  test('a list of positions, which old files carry, is no stranger', () => {
    const name = 'text_model.embeddings.position_ids';
    const models = convertModel('text_encoder', (weights) =>
      weights.set(name, unreadWeight(name, [1, 77], 'i64')),
    );
    expect(models.flatMap(weightNames)).not.toContain(name);
  });

  test('a VAE of before diffusers 0.18 is read under its old names', () => {
    const oldNames = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' };
    const models = convertModel('vae_decoder', (weights) => {
      for (const [name, weight] of [...weights]) {
        const [, now = ''] = /attentions\.0\.(to_.*)\.(?:weight|bias)$/.exec(name) ?? [];
        const old = Object.entries(oldNames).find(([present]) => present === now)?.[1];
        if (!old) continue;
        weights.delete(name);
        weights.set(name.replace(now, old), { ...weight, name: name.replace(now, old) });
      }
      expect([...weights.keys()].filter((name) => name.includes('to_'))).toEqual([]);
    });
    const present = convertModel('vae_decoder', () => {}).flatMap(weightNames);
    expect(models.flatMap(weightNames)).toEqual(present);
  });

  /** Converts one network of SD 1.5 with its weights and config changed. */
  function convertModel(
    model: NetworkName,
    change: (weights: Map<string, Weight>) => void,
    config: Component['config'] = {},
    attention: ConvertOptions['attention'] = 'ORIGINAL',
  ): Model[] {
    const name = componentOf(model);
    const component = components.get(name);
    if (!component) throw new Error(`there is no ${name}`);
    const weights = new Map(component.weights);
    change(weights);
    const changed = { ...component, weights, config: { ...component.config, ...config } };
    const checkpoint: Checkpoint = { ...headerCheckpoint({}), components: new Map([[name, changed]]) };
    return convert(checkpoint, { ...plain, attention, models: [model], sizes: latent64 });
  }
});

describe('what a checkpoint has', () => {
  const one = headerComponentOf('unet', 'sd15');
  const withControlNets = (names: readonly string[]): Checkpoint => ({
    ...headerCheckpoint({}),
    components: new Map(['unet', ...names].map((name) => [name, { ...one, name }])),
  });

  test('are the networks of its folders, in the order they run, several ControlNets by their numbers', () => {
    expect(networksOf(fullSizeCheckpoint('sdxl'))).toEqual(fullSize.sdxl);
    expect(networksOf(withControlNets(['controlnet', 'controlnet_1', 'controlnet_10', 'refiner']))).toEqual([
      'controlnet',
      'controlnet_1',
      'controlnet_10',
      'unet',
      'refiner',
    ]);
  });

  test('is one UNet: that for a ControlNet where it is asked for', () => {
    const checkpoint = withControlNets(['controlnet']);
    expect(networksOf(checkpoint, { controlledUnet: true })).toEqual(['controlnet', 'control-unet']);
    const sd15 = convert(fullSizeCheckpoint('sd15'), { ...plain, controlledUnet: true });
    expect(sd15.map(({ name }) => name)).toEqual([
      'text_encoder',
      'control-unet',
      'vae_decoder',
      'vae_encoder',
    ]);
  });

  test('each network has its own folder; the UNet for a ControlNet is made of the UNet', () => {
    const names: NetworkName[] = ['control-unet', 'refiner', 'controlnet', 'controlnet_2', 'vae_encoder'];
    expect(names.map(componentOf)).toEqual(['unet', 'refiner', 'controlnet', 'controlnet_2', 'vae']);
  });
});

describe('a VAE that overflows float16', () => {
  const reasons = (checkpoint: Checkpoint) =>
    convert(checkpoint, { ...plain, attention: 'ORIGINAL' }).map(
      ({ name, needsFloat32 }) => `${name}: ${needsFloat32 ?? '-'}`,
    );

  test('is that of Stable Diffusion XL, both ways, and nothing else of it', () => {
    const reason = 'The VAE of Stable Diffusion XL overflows float16.';
    expect(reasons(fullSizeCheckpoint('sdxl'))).toEqual([
      'text_encoder: -',
      'text_encoder_2: -',
      'unet: -',
      `vae_decoder: ${reason}`,
      `vae_encoder: ${reason}`,
    ]);
    expect(reasons(fullSizeCheckpoint('sd15')).join()).not.toContain(reason);
  });

  test('does not any more where its config says that it was repaired', () => {
    const checkpoint = fullSizeCheckpoint('sdxl');
    const vae = headerComponentOf('vae', 'sdxl');
    const repaired = { ...vae, config: { ...vae.config, force_upcast: false } };
    const components = new Map(checkpoint.components).set('vae', repaired);
    expect(reasons({ ...checkpoint, components }).join()).not.toContain('overflows');
  });

  test('is told by the pipeline where there is nothing else of XL', () => {
    const vae = headerComponentOf('vae', 'sdxl');
    const alone = { ...headerCheckpoint({}), components: new Map([['vae', vae]]) };
    const modelIndex = { _class_name: 'StableDiffusionXLImg2ImgPipeline' };
    expect(reasons(alone).join()).not.toContain('overflows');
    expect(reasons({ ...alone, modelIndex }).join()).toContain('overflows');
  });
});

describe('what is asked for', () => {
  const checkpoint = fullSizeCheckpoint('sd15');
  const unetOnly = {
    ...checkpoint,
    components: new Map([...checkpoint.components].filter(([name]) => name === 'unet')),
  };

  test('is built in the order asked; everything there is, when nothing is', () => {
    const names = (models?: readonly NetworkName[]) =>
      convert(checkpoint, { ...plain, models }).map(({ name }) => name);
    expect(names(['vae_encoder', 'text_encoder'])).toEqual(['vae_encoder', 'text_encoder']);
    expect(names()).toEqual(['text_encoder', 'unet', 'vae_decoder', 'vae_encoder']);
    expect(convert(unetOnly, plain).map(({ name }) => name)).toEqual(['unet']);
  });

  test('but is not in the checkpoint, is an error that says what is', () => {
    const error = thrownBy(() => convert(unetOnly, { ...plain, models: ['vae_decoder'] }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.problem).toBe('sd15 has no vae.');
    expect(error.details).toEqual({ 'it has': 'unet' });
  });

  test.each<[Sizes, string, string]>([
    [{ latentHeight: 60 }, 'a latent height of 60', 'Take 64 (512 pixels).'],
    [{ latentWidth: 97 }, 'a latent width of 97', 'Take 96 (768 pixels).'],
    [{ latentWidth: 2 }, 'a latent width of 2', 'Take 8 (64 pixels).'],
    [{ latentHeight: 0 }, 'a latent height of 0', 'Take 8 (64 pixels).'],
    [{ latentHeight: -64 }, 'a latent height of -64', 'Take 8 (64 pixels).'],
    [{ latentHeight: 64.5 }, 'a latent height of 64.5', 'Take 64 (512 pixels).'],
  ])(
    'in a size that the UNet cannot halve three times is refused, with the nearest that it can: %j',
    (sizes, problem, advice) => {
      for (const contract of Object.values(contracts)) {
        const error = thrownBy(() => convert(unetOnly, { ...plain, contract, sizes }));
        expect(error).toBeInstanceOf(RequestError);
        expect(error.problem).toContain(problem);
        expect(error.problem).toContain('halves it 3 times, so it must be a multiple of 8');
        expect(error.advice).toBe(advice);
      }
    },
  );

  test('in a size that no shape of Core ML can hold is refused, with the largest that is taken', () => {
    for (const contract of Object.values(contracts)) {
      const sizes = { latentWidth: 1_000_000_000 };
      const error = thrownBy(() => convert(unetOnly, { ...plain, contract, sizes }));
      expect(error).toBeInstanceOf(RequestError);
      expect(error.problem).toBe(
        'a latent width of 1000000000 is too large: the maximum is 1024 (8192 pixels).',
      );
      const tokens = { textTokens: 1_000_000_000 };
      expect(thrownBy(() => convert(unetOnly, { ...plain, contract, sizes: tokens })).problem).toContain(
        '1000000000',
      );
    }
  });

  test('in a size that no shape of Core ML can hold is refused for the VAE and the text, too', () => {
    const coreml = { ...plain, contract: contracts.apple };
    const tooLarge = [
      thrownBy(() =>
        convert(checkpoint, {
          ...coreml,
          sizes: { latentHeight: 1e9, latentWidth: 8 },
          models: ['vae_decoder'],
        }),
      ),
      thrownBy(() => convert(unetOnly, { ...coreml, sizes: { textTokens: 1e10 } })),
    ];
    for (const error of tooLarge) {
      expect(error).toBeInstanceOf(RequestError);
      expect(error.problem).toMatch(/too (large for a Core ML model|many): the maximum is /);
    }
  });

  test('in a size that suits Stable Diffusion XL, which halves it twice, and not SD 1.5', () => {
    const sizes = { latentHeight: 108, latentWidth: 60 };
    const xl = fullSizeCheckpoint('sdxl');
    for (const attention of attentionImplementations) {
      const [model] = convert(xl, { ...plain, attention, sizes, models: ['control-unet'] });
      expect(model?.graph.outputs[0]?.tensor.shape.slice(2)).toEqual([108, 60]);
    }
    expect(thrownBy(() => convert(unetOnly, { ...plain, sizes })).problem).toContain('a multiple of 8');
    const error = thrownBy(() => convert(xl, { ...plain, sizes: { latentHeight: 62 }, models: ['unet'] }));
    expect(error.problem).toContain('halves it 2 times, so it must be a multiple of 4');
  });

  test('of a ControlNet alone in chunks of queries, which have to know how many there are', () => {
    const controlnet = fullSizeCheckpoint('controlnet-sd15');
    const error = thrownBy(() => convert(controlnet, { ...plain, attention: 'SPLIT_EINSUM_V2' }));
    expect(error).toBeInstanceOf(RequestError);
    expect(error.problem).toContain('with the attention SPLIT_EINSUM_V2 a ControlNet needs a fixed size');
  });

  test('in a size that it can halve is built', () => {
    for (const size of [8, 48, 128]) {
      const [model] = convert(unetOnly, { ...plain, sizes: { latentHeight: size, latentWidth: 64 } });
      expect(model?.graph.outputs[0]?.tensor.shape.slice(2)).toEqual([size, 64]);
    }
  });
});

function headerComponentOf(component: string, model: FullSizeModel): Component {
  const found = fullSizeCheckpoint(model).components.get(component);
  if (!found) throw new Error(`${model} has no ${component}`);
  return found;
}

function weightNames({ graph }: Model): string[] {
  return graph.tensors.flatMap(({ op, name }) => (op.kind === 'weight' ? [name] : []));
}

test('the half of a VAE that is not there is not converted, and asked for it is named', () => {
  const whole = fullSizeCheckpoint('sd15');
  const vae = whole.components.get('vae');
  if (!vae) throw new Error('the list has no VAE');
  const weights = new Map([...vae.weights].filter(([name]) => !/^(encoder|quant_conv)\./.test(name)));
  const half = { ...whole, components: new Map(whole.components).set('vae', { ...vae, weights }) };
  expect(convert(half, plain).map(({ name }) => name)).toEqual(['text_encoder', 'unet', 'vae_decoder']);
  const error = thrownBy(() => convert(half, { ...plain, models: ['vae_encoder'] }));
  expect(error.problem).toBe('the VAE encoder is not in the checkpoint: its VAE has only the other half.');
});

test('a VAE of a class that nobody knows is named, whatever its weights', () => {
  const whole = fullSizeCheckpoint('sd15');
  const vae = whole.components.get('vae');
  if (!vae) throw new Error('the list has no VAE');
  const other = { ...vae, config: { ...vae.config, _class_name: 'ConsistencyDecoderVAE' } };
  const checkpoint = { ...whole, components: new Map(whole.components).set('vae', other) };
  const error = thrownBy(() => convert(checkpoint, plain));
  expect(error.problem).toBe('the VAE decoder is of a kind that is not supported: ConsistencyDecoderVAE.');
  expect(convert(checkpoint, { ...plain, models: ['unet'] })).toHaveLength(1);
});
