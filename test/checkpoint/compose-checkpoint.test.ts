import { expect, test } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import type { OpenComponent } from '../../src/checkpoint/component.ts';
import { composeCheckpoint } from '../../src/checkpoint/compose-checkpoint.ts';
import { controlnetConfig } from '../../src/convert/config/controlnet-config.ts';
import { NotFoundError, RequestError } from '../../src/errors.ts';
import { type FullSizeModel, fullSizeCheckpoint } from '../support/full-size.ts';
import { thrownBy } from '../support/thrown-by.ts';

test('a refiner, a VAE and ControlNets stand beside the base under the names that diffusers gives them', () => {
  const base = fullSizeCheckpoint('sdxl');
  const vae = component('sd15', 'vae');
  const [first, second] = [
    component('controlnet-sdxl', 'controlnet'),
    component('controlnet-sdxl', 'controlnet'),
  ];
  const refiner = fullSizeCheckpoint('sdxl-refiner');
  const composed = composeCheckpoint(base, { refiner, vae, controlnets: [first, second] });
  const names = ['text_encoder', 'text_encoder_2', 'unet', 'vae', 'refiner', 'controlnet', 'controlnet_1'];
  expect([...composed.components.keys()]).toEqual(names);
  expect([...composed.components.values()].map(({ name }) => name)).toEqual(names);
  expect(composed.components.get('unet')).toBe(base.components.get('unet'));
  expect(composed.components.get('refiner')?.weights).toBe(refiner.components.get('unet')?.weights);
  expect(composed.components.get('vae')?.weights).toBe(vae.weights);
  expect(composed.components.get('controlnet_1')?.weights).toBe(second.weights);
  expect(composed).toMatchObject({ name: 'sdxl', family: 'sdxl', kind: 'base' });
});

test('a ControlNet that the base has keeps its place', () => {
  const base = fullSizeCheckpoint('sd15');
  const own = component('controlnet-sd15', 'controlnet');
  const withOwn = { ...base, components: new Map(base.components).set('controlnet', own) };
  const added = component('controlnet-sd15', 'controlnet');
  const { components } = composeCheckpoint(withOwn, { controlnets: [added] });
  expect(components.get('controlnet')).toBe(own);
  expect(components.get('controlnet_1')?.weights).toBe(added.weights);
});

test('a VAE that the base has not got on this disk is not missing any more', () => {
  const base = { ...fullSizeCheckpoint('sd15-inpainting'), missing: ['vae', 'text_encoder'] };
  expect(composeCheckpoint(base, { vae: component('sd15', 'vae') }).missing).toEqual(['text_encoder']);
});

test('closing it closes all of them, and its notes are those of all', async () => {
  const closed: string[] = [];
  const told = <Part extends Checkpoint | OpenComponent>(name: string, part: Part): Part => ({
    ...part,
    notes: [`${name} was assumed`],
    close: async () => {
      closed.push(name);
    },
  });
  const composed = composeCheckpoint(told('base', fullSizeCheckpoint('sdxl')), {
    refiner: told('refiner', fullSizeCheckpoint('sdxl-refiner')),
    vae: told('vae', component('sd15', 'vae')),
    controlnets: [told('controlnet', component('controlnet-sdxl', 'controlnet'))],
  });
  expect(composed.notes).toEqual(
    ['base', 'refiner', 'vae', 'controlnet'].map((name) => `${name} was assumed`),
  );
  await composed.close();
  expect(closed.sort()).toEqual(['base', 'controlnet', 'refiner', 'vae']);
});

test('a ControlNet of another family is refused', () => {
  const controlnets = [component('controlnet-sd21', 'controlnet')];
  const error = thrownBy(() => composeCheckpoint(fullSizeCheckpoint('sd15'), { controlnets }));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toBe(
    'the ControlNet was trained for another family than sd15: it reads text of 1024 channels, the UNet of 768.',
  );
  expect(error.details).toEqual({
    ControlNet: 'Stable Diffusion 2.x, controlnet/config.json',
    UNet: 'Stable Diffusion 1.x, unet/config.json',
  });
  expect(error.advice).toBe('Take a ControlNet for Stable Diffusion 1.x.');
});

test('a ControlNet’s width of text may be anything, and is shown', () => {
  const own = component('controlnet-sd21', 'controlnet');
  const config = { ...own.config, cross_attention_dim: { toString: 1 } };
  const controlnets = [{ ...own, config, weights: new Map() }];
  const error = thrownBy(() => composeCheckpoint(fullSizeCheckpoint('sd15'), { controlnets }));
  expect(error.problem).toContain('it reads text of { toString: 1 } channels');
});

test.each([-1, 2, 'x', null, undefined])(
  'a ControlNet is of the family that its weights show; a config that says cross_attention_dim = %j is told as wrong',
  (width) => {
    const own = component('controlnet-sd15', 'controlnet');
    const wrong = { ...own, config: { ...own.config, cross_attention_dim: width } };
    const { components } = composeCheckpoint(fullSizeCheckpoint('sd15'), { controlnets: [wrong] });
    const controlnet = components.get('controlnet');
    expect(controlnet).toBeDefined();
    if (controlnet) expect(() => controlnetConfig(controlnet)).toThrow(/cross_attention_dim/);
  },
);

test('what is no refiner is refused as one', () => {
  const base = fullSizeCheckpoint('sdxl');
  const error = thrownBy(() => composeCheckpoint(base, { refiner: fullSizeCheckpoint('sd15') }));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.details).toEqual({
    expected: 'Stable Diffusion XL refiner',
    found: 'Stable Diffusion 1.x',
  });
  const nothing = { ...fullSizeCheckpoint('sdxl-refiner'), components: new Map() };
  expect(thrownBy(() => composeCheckpoint(base, { refiner: nothing }))).toBeInstanceOf(NotFoundError);
});

test('a refiner beside another family than its own is refused', () => {
  const refiner = fullSizeCheckpoint('sdxl-refiner');
  const error = thrownBy(() => composeCheckpoint(fullSizeCheckpoint('sd15'), { refiner }));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toBe('sd15 cannot have a refiner: its family is Stable Diffusion 1.x.');
});

test('two ControlNets of one name are refused before one overwrites the other', () => {
  const named = (id: string) => ({ ...component('controlnet-sd15', 'controlnet'), id });
  const base = fullSizeCheckpoint('sd15');
  const error = thrownBy(() => composeCheckpoint(base, { controlnets: [named('canny'), named('canny')] }));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toContain('two ControlNets are called canny');
  const { components } = composeCheckpoint(base, { controlnets: [named('canny'), named('depth')] });
  expect(components.get('controlnet_1')?.id).toBe('depth');
});

function component(model: FullSizeModel, name: string): OpenComponent {
  const found = fullSizeCheckpoint(model).components.get(name);
  if (!found) throw new Error(`${model} has no ${name}`);
  return { ...found, notes: [], close: async () => {} };
}
