import { expect, test } from 'vitest';
import { readSingleFile } from '../../../src/checkpoint/single-file/open-single-file.ts';
import { configBeside } from '../../../src/checkpoint/single-file/yaml-beside.ts';
import { unetConfig } from '../../../src/convert/config/unet-config.ts';
import { FileFormatError } from '../../../src/errors.ts';
import { writeText } from '../../../src/io/disk.ts';
import { headerFile, recordedPlaces } from '../../support/single-file.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf, thrownBy } from '../../support/thrown-by.ts';

const at = temporaryFolder();
let files = 0;

/** A configuration beside a file that is not there: only its name counts. */
async function beside(yaml: string) {
  const name = `model-${files++}`;
  await writeText(at(`${name}.yaml`), yaml);
  return configBeside(at(`${name}.safetensors`));
}

test.each([
  ['model:\n  params:\n    parameterization: "v"\n', 'v_prediction'],
  ['model:\n  params:\n    parameterization: eps\n', 'epsilon'],
  [
    'model:\n  params:\n    denoiser_config:\n      params:\n        scaling_config:\n          target: sgm.modules.diffusionmodules.denoiser_scaling.VScaling\n',
    'v_prediction',
  ],
  [
    'model:\n  params:\n    denoiser_config:\n      params:\n        scaling_config:\n          target: sgm.modules.diffusionmodules.denoiser_scaling.EpsScaling\n',
    'epsilon',
  ],
  ['model:\n  params:\n    image_size: 64\n', undefined],
  ['- a\n- list\n', undefined],
  ['', undefined],
])('%j says that the UNet predicts %s', async (yaml, prediction) => {
  expect((await beside(yaml))?.prediction).toBe(prediction);
});

test('sizes, heads and factors are read where they say something', async () => {
  const yaml = `model:
  params:
    image_size: 96
    scale_factor: 0.2
    unet_config:
      params:
        num_head_channels: 32
`;
  expect(await beside(yaml)).toMatchObject({
    latentSize: 96,
    scaleFactor: 0.2,
    headChannels: 32,
    heads: undefined,
  });
  expect(await beside('model: {params: {image_size: 64}}')).toMatchObject({ latentSize: undefined });
});

test.each([
  'image_size: "x"',
  'scale_factor: [0.2]',
  'scale_factor: .nan',
  'unet_config: {params: {num_heads: true}}',
])('what is no number where one is needed is refused, not passed over: %s', async (line) => {
  const error = await rejectionOf(beside(`model:\n  params:\n    ${line}\n`));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.details.expected).toBe('a number');
  expect(error.problem).toMatch(/model-\d+\.yaml is not the configuration of a model\.$/);
});

test('a file without a configuration beside it has none', async () => {
  expect(await configBeside(at('alone.safetensors'))).toBeUndefined();
  await writeText(at('itself.yaml'), 'a: 1');
  expect(await configBeside(at('itself.yaml'))).toBeUndefined();
});

test.each([
  ['what is no YAML', 'a: [1, 2\nb: }'],
  ['a tag that makes an object', '!!python/object/apply:os.system ["echo ran"]'],
  ['a tag of an unknown kind', 'model: !Thing {a: 1}'],
  [
    'aliases that multiply',
    `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]`,
  ],
  ['a megabyte and more', `a: ${'x'.repeat(1 << 20)}`],
  ['lists in lists without end', '['.repeat(100_000)],
  ['a stream that ends within a flow', `? {${'- '.repeat(5000)}`],
])('%s is refused in one sentence', async (_, yaml) => {
  const error = await rejectionOf(beside(yaml));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toMatch(/\.yaml is not the configuration of a model\.$/);
});

test('a UNet is what the configuration says, where the file does not say otherwise', async () => {
  const configured = await beside(
    'model: {params: {parameterization: v, scale_factor: 0.2, image_size: 96}}',
  );
  const shapes = Object.fromEntries(
    Object.entries(recordedPlaces('sd15')).map(([name, [shape]]) => [name, shape]),
  );
  const checkpoint = await readSingleFile(headerFile(shapes), { configured });
  expect(checkpoint.modelIndex.scheduler).toEqual(['diffusers', 'DDIMScheduler']);
  const vae = checkpoint.components.get('vae');
  expect(vae?.config.scaling_factor).toBe(0.2);
  expect(checkpoint.components.get('unet')?.config.sample_size).toBe(96);
  expect(checkpoint.notes).toEqual([`${configured?.file} says that the UNet predicts v.`]);
  const metadata = { 'modelspec.prediction_type': 'epsilon' };
  const stated = await readSingleFile(headerFile(shapes, 'model.safetensors', metadata), { configured });
  expect(stated.modelIndex.scheduler).toEqual(['diffusers', 'PNDMScheduler']);
});

test('is the file to blame for what it says, and for nothing else', async () => {
  const configured = await beside('model: {params: {unet_config: {params: {num_heads: 7}}, image_size: 96}}');
  const shapes = Object.fromEntries(
    Object.entries(recordedPlaces('sd15')).map(([name, [shape]]) => [name, shape]),
  );
  const { components } = await readSingleFile(headerFile(shapes), { configured });
  const unet = components.get('unet');
  if (!unet) throw new Error('no UNet');
  const blamed = (config: object) =>
    thrownBy(() => unetConfig({ ...unet, config: { ...unet.config, ...config } })).details.file;
  expect(blamed({})).toBe(configured?.path);
  expect(blamed({ sample_size: 0 })).toBe(configured?.path);
  expect(blamed({ norm_num_groups: 7 })).toBe(unet.configFile);
  expect(unet.configFile).not.toBe(configured?.path);
});
