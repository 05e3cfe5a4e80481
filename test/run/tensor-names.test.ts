import { describe, expect, test } from 'vitest';
import { appleContract } from '../../src/convert/contracts/apple.ts';
import type { Contract } from '../../src/convert/contracts/contract.ts';
import { optimumContract } from '../../src/convert/contracts/optimum.ts';
import { convert } from '../../src/convert/convert.ts';
import type { DeclaredValue } from '../../src/formats/artifact.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { networkCalled } from '../../src/run/network-called.ts';
import { networkOf, networkOfPorts } from '../../src/run/tensor-names.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../support/full-size.ts';

const denoiser = ['sample', 'timestep', 'encoder_hidden_states'];

test.each([
  ['text_encoder', ['input_ids']],
  ['unet', denoiser],
  ['unet', [...denoiser, 'time_ids', 'text_embeds']],
  ['unet', [...denoiser, 'timestep_cond']],
  ['control-unet', [...denoiser, 'additional_residual_0', 'additional_residual_1']],
  ['control-unet', [...denoiser, 'down_block_additional_residual_0', 'mid_block_additional_residual']],
  ['controlnet', [...denoiser, 'controlnet_cond']],
  ['vae_decoder', ['z']],
  ['vae_encoder', ['x']],
  ['safety_checker', ['clip_input', 'images', 'adjustment']],
  [undefined, ['images']],
])('%s takes %j', (network, inputs) => {
  expect(networkOf(inputs)).toBe(network);
});

test('a name says which of the networks that take the same it is, and nothing else', () => {
  expect(networkCalled('refiner', 'unet')).toBe('refiner');
  expect(networkCalled('text_encoder_2', 'text_encoder')).toBe('text_encoder_2');
  expect(networkCalled('controlnet_1', 'controlnet')).toBe('controlnet_1');
  expect(networkCalled('refiner', 'vae_decoder')).toBe('vae_decoder');
  expect(networkCalled('my-unet', 'unet')).toBe('unet');
});

describe.each([optimumContract, appleContract])('by its inputs and outputs for $name', (contract) => {
  test.each<FullSizeModel>(['sd15', 'sd15-inpainting', 'sd21', 'sdxl', 'controlnet-sdxl', 'safety-checker'])(
    'every network of %s is known',
    (name) => {
      for (const [network, ports] of portsOf(name, contract))
        expect(networkOfPorts(ports.inputs, ports.outputs)).toBe(network);
    },
  );

  test('a refiner is no UNet that begins', () => {
    const ports = portsOf('sdxl-refiner', contract).get('unet');
    expect(networkOfPorts(ports?.inputs ?? [], ports?.outputs ?? [])).toBe('refiner');
  });
});

/** The inputs and outputs of each network, as files declare them. */
function portsOf(name: FullSizeModel, contract: Contract) {
  const sizes = { latentHeight: 64, latentWidth: 64 };
  const models = convert(fullSizeCheckpoint(name), { contract, attention: 'ORIGINAL', sizes });
  return new Map(
    models.map(({ name: network, graph }) => [
      network,
      {
        inputs: graph.inputs.map((input) => declared(input.name, input)),
        outputs: graph.outputs.map((output) => declared(output.name, output.tensor)),
      },
    ]),
  );
}

function declared(name: string, { dtype, shape }: Tensor): DeclaredValue {
  return { name, dtype, shape: shape.map((dim) => (typeof dim === 'number' ? dim : 'free')) };
}
