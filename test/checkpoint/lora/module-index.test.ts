import { describe, expect, test } from 'vitest';
import { indexModules } from '../../../src/checkpoint/lora/module-index.ts';
import { originalUnetNames } from '../../../src/checkpoint/lora/original-unet-names.ts';
import { UnsupportedModelError } from '../../../src/errors.ts';
import { fullSizeCheckpoint } from '../../support/full-size.ts';
import { unreadWeight } from '../../support/memory-weight.ts';
import { thrownBy } from '../../support/thrown-by.ts';

describe.each(['sd15', 'sd21'] as const)(
  '%s: names in LoRAs and weights belong to each other one to one',
  (name) => {
    const { components } = fullSizeCheckpoint(name);

    test.each(['unet', 'text_encoder'] as const)('%s', (network) => {
      const weights = components.get(network)?.weights ?? new Map();
      const index = indexModules(network, weights);
      const changed = new Set(
        [...index.values()].flatMap(({ weight, bias }) => [weight, ...(bias ? [bias] : [])]),
      );
      expect(changed).toEqual(new Set(weights.values()));
      for (const weight of changed) {
        const own = weight.name.replace(/\.\w+$/, '').replaceAll('.', '_');
        expect(index.get(own)?.[weight.name.endsWith('.bias') ? 'bias' : 'weight']).toBe(weight);
      }
    });

    test('the original names too', () => {
      const weights = components.get('unet')?.weights ?? new Map();
      const modules = [...indexModules('unet', weights).values()].map(({ weight }) =>
        weight.name.slice(0, -7),
      );
      const originals = originalUnetNames([...new Set(modules)]);
      expect(new Set(originals.keys())).toEqual(new Set(modules));
      expect(new Set(originals.values()).size).toBe(originals.size);
    });
  },
);

/** Pairs from the original implementations' checkpoints. */
describe('kohya’s names of SDXL, which are the original ones', () => {
  const modules = xlModules();
  test.each([
    ['input_blocks.0.0', 'conv_in'],
    ['input_blocks.1.0.in_layers.2', 'down_blocks.0.resnets.0.conv1'],
    ['input_blocks.3.0.op', 'down_blocks.0.downsamplers.0.conv'],
    ['input_blocks.4.0.skip_connection', 'down_blocks.1.resnets.0.conv_shortcut'],
    ['input_blocks.4.1.proj_in', 'down_blocks.1.attentions.0.proj_in'],
    [
      'input_blocks.8.1.transformer_blocks.9.attn2.to_k',
      'down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k',
    ],
    ['middle_block.0.emb_layers.1', 'mid_block.resnets.0.time_emb_proj'],
    ['middle_block.1.proj_out', 'mid_block.attentions.0.proj_out'],
    ['middle_block.2.out_layers.3', 'mid_block.resnets.1.conv2'],
    [
      'output_blocks.0.1.transformer_blocks.0.ff.net.0.proj',
      'up_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj',
    ],
    ['output_blocks.2.2.conv', 'up_blocks.0.upsamplers.0.conv'],
    ['output_blocks.5.1.proj_in', 'up_blocks.1.attentions.2.proj_in'],
    ['output_blocks.5.2.conv', 'up_blocks.1.upsamplers.0.conv'],
    ['output_blocks.8.0.in_layers.2', 'up_blocks.2.resnets.2.conv1'],
    ['time_embed.2', 'time_embedding.linear_2'],
    ['label_emb.0.0', 'add_embedding.linear_1'],
    ['out.2', 'conv_out'],
  ])('%s is %s', (original, module) => {
    expect(originalUnetNames(modules).get(module)).toBe(original);
  });

  test('an upsampler without attention before it moves up', () => {
    const modules = ['up_blocks.0.resnets.2.conv1', 'up_blocks.0.upsamplers.0.conv'];
    expect(originalUnetNames(modules).get('up_blocks.0.upsamplers.0.conv')).toBe('output_blocks.2.1.conv');
  });
});

test('a text encoder is found with and without what older transformers wrapped it in', () => {
  const name = 'encoder.layers.0.mlp.fc1';
  for (const weight of [
    unreadWeight(`text_model.${name}.weight`, [4, 2]),
    unreadWeight(`${name}.weight`, [4, 2]),
  ]) {
    const index = indexModules('text_encoder', new Map([[weight.name, weight]]));
    expect(index.get('text_model_encoder_layers_0_mlp_fc1')?.weight).toBe(weight);
    expect(index.get('encoder_layers_0_mlp_fc1')?.weight).toBe(weight);
  }
});

test('two weights of one name are refused, not guessed at', () => {
  const weights = ['to_out.0.weight', 'to.out_0.weight'].map((name) => unreadWeight(name, [2, 2]));
  const error = thrownBy(() => indexModules('unet', new Map(weights.map((weight) => [weight.name, weight]))));
  expect(error).toBeInstanceOf(UnsupportedModelError);
  expect(error.message).toContain('to_out_0');
});

function xlModules(): string[] {
  return [
    ...['conv_in', 'conv_out', 'time_embedding.linear_2', 'add_embedding.linear_1'],
    ...[
      'down_blocks.0.resnets.0.conv1',
      'down_blocks.0.resnets.1.conv1',
      'down_blocks.0.downsamplers.0.conv',
    ],
    ...['down_blocks.1.resnets.0.conv_shortcut', 'down_blocks.1.attentions.0.proj_in'],
    'down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_k',
    ...['mid_block.resnets.0.time_emb_proj', 'mid_block.attentions.0.proj_out', 'mid_block.resnets.1.conv2'],
    'up_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj',
    ...['up_blocks.0.upsamplers.0.conv', 'up_blocks.1.attentions.2.proj_in', 'up_blocks.1.upsamplers.0.conv'],
    // The numbers of what follows depend on how many layers each level has.
    ...[0, 1, 2].flatMap((level) => [
      `down_blocks.${level}.resnets.1.conv2`,
      `up_blocks.${level}.resnets.2.conv1`,
    ]),
  ];
}
