import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { NonFiniteWeightError } from '../../src/errors.ts';
import { writeSafetensors } from '../../src/weights/safetensors-writer.ts';
import { changedCheckpoint } from '../support/changed-checkpoint.ts';
import { sdShapes } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const temporary = temporaryFolder();
const vae = 'vae/diffusion_pytorch_model.safetensors';
const encoder = {
  targets: ['onnx'],
  models: ['vae_encoder'],
  bundle: false,
} satisfies Partial<ConvertOptions>;
const kernel = 'encoder.conv_in.weight';

let unetWithNaN: string;
let tooLarge: string;
let infinite: string;
beforeAll(async () => {
  unetWithNaN = await changedCheckpoint(
    temporary('nan/sd-shapes'),
    'unet/diffusion_pytorch_model.safetensors',
    {
      'conv_in.weight': (values) => values.fill(Number.NaN, 5, 8),
      'conv_out.bias': (values) => values.fill(Number.NEGATIVE_INFINITY, 1, 2),
    },
  );
  tooLarge = await changedCheckpoint(temporary('large/sd-shapes'), vae, {
    [kernel]: (values) => values.fill(1e6, 7, 9),
  });
  infinite = await changedCheckpoint(temporary('infinite/sd-shapes'), vae, {
    [kernel]: (values) => values.fill(Number.POSITIVE_INFINITY, 2, 3),
  });
});

/** Converts, and gives the result with the notes. */
async function convert(modelVersion: string, output: string, more: Partial<ConvertOptions> = {}) {
  const notes: string[] = [];
  const result = await convertCheckpoint(
    { modelVersion, ...encoder, output, ...more },
    { onProgress: (event) => void (event.type === 'note' && notes.push(event.message)) },
  );
  return { ...result, notes };
}

test.each(['onnx', 'coreml'] as const)(
  'NaN in a UNet is refused with names, counts and first elements, and no %s is written',
  async (target) => {
    const output = temporary('refused', target);
    const error = await rejectionOf(convert(unetWithNaN, output, { targets: [target], models: ['unet'] }));
    expect(error).toBeInstanceOf(NonFiniteWeightError);
    const path = target === 'onnx' ? 'onnx/unet' : 'Stable_Diffusion_version_sd-shapes_unet.mlpackage';
    expect(error.problem).toBe(`${path} is refused: 2 weights contain numbers that are not finite.`);
    expect(error.details).toEqual({
      file: join(unetWithNaN, 'unet/diffusion_pytorch_model.safetensors'),
      'conv_in.weight': '3 NaN of 2,304 elements, the first at 5',
      'conv_out.bias': '1 infinite of 4 elements, the first at 1',
    });
    expect(error.advice).toContain('--allow-non-finite writes them anyway.');
    expect(existsSync(join(output, path))).toBe(false);
    expect(existsSync(join(output, 'sdconvert.json'))).toBe(false);
  },
);

test.each(['float32', 'float16', 'float16-weights'] as const)(
  'an infinity of the checkpoint is refused in %s',
  async (precision) => {
    const error = await rejectionOf(convert(infinite, temporary('infinite', precision), { precision }));
    expect(error.details[kernel]).toBe('1 infinite of 432 elements, the first at 2');
  },
);

describe('a weight of a million', () => {
  test.each(['float16', 'float16-weights'] as const)(
    'is refused in %s, with what keeps it',
    async (precision) => {
      const error = await rejectionOf(convert(tooLarge, temporary('million', precision), { precision }));
      expect(error).toBeInstanceOf(NonFiniteWeightError);
      expect(error.details[kernel]).toBe('2 beyond float16’s 65504 of 432 elements, the first at 7');
      expect(error.advice).toMatch(/^--precision float32 keeps numbers that are too large for float16/);
    },
  );

  test('is converted in float32, with a note that no training leaves such weights', async () => {
    const { artifacts, notes } = await convert(tooLarge, temporary('million32'), { precision: 'float32' });
    expect(artifacts[0]?.findings).toEqual([{ problem: 'huge', weight: kernel, elements: 432, value: 1e6 }]);
    expect(notes).toContain(
      `written unchanged, but unlikely to be the result of training: vae_encoder: ${kernel} (up to 1.00e+6).`,
    );
  });
});

test('what is not finite by a LoRA is refused, too', async () => {
  const module = 'down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q';
  const lora = temporary('loud.safetensors');
  const [down, up] = [new Float32Array(64).fill(1e3), new Float32Array(64).fill(1e3)];
  await writeSafetensors(lora, [
    { name: `unet.${module}.lora_A.weight`, dtype: 'f32', shape: [1, 64], data: down },
    { name: `unet.${module}.lora_B.weight`, dtype: 'f32', shape: [64, 1], data: up },
  ]);
  const options = { models: ['unet'], loras: [{ path: lora, scale: 1 }] } satisfies Partial<ConvertOptions>;
  const error = await rejectionOf(convert(sdShapes, temporary('lora'), options));
  expect(error.problem).toContain('1 weight contains numbers that are not finite in float16.');
  expect(error.details).toEqual({
    file: join(sdShapes, 'unet/diffusion_pytorch_model.safetensors'),
    [`${module}.weight`]: '4,096 beyond float16’s 65504 of 4,096 elements, the first at 0',
  });
});

test('palettes say it in the same words, and not to ask for palettes', async () => {
  const error = await rejectionOf(
    convert(unetWithNaN, temporary('palettes'), { models: ['unet'], quantization: { bits: 4 } }),
  );
  expect(error).toBeInstanceOf(NonFiniteWeightError);
  expect(error.problem).toContain('onnx/unet is refused');
  expect(error.advice).toContain('--allow-non-finite without --quantize-nbits');
});

describe('with --allow-non-finite', () => {
  const allowed = { models: ['unet'], allowNonFinite: true } satisfies Partial<ConvertOptions>;
  const finding = { problem: 'non-finite', infinite: 0, overflowing: 0, nan: 0 };
  const findings = [
    { ...finding, weight: 'conv_in.weight', elements: 2304, nan: 3, first: 5 },
    { ...finding, weight: 'conv_out.bias', elements: 4, infinite: 1, first: 1 },
  ];

  test('such weights are kept, and said once, in the result and in sdconvert.json', async () => {
    const output = temporary('allowed');
    const targets = ['onnx', 'coreml'] as const;
    const { artifacts, notes } = await convert(unetWithNaN, output, { ...allowed, targets });
    for (const each of artifacts) expect(each.findings).toEqual(expect.arrayContaining(findings));
    expect(notes.filter((note) => note.includes('not finite'))).toEqual([
      'written although not finite (--allow-non-finite): unet: conv_in.weight (3 NaN of 2,304 elements, the first at 5), unet: conv_out.bias (1 infinite of 4 elements, the first at 1).',
    ]);
    const record = JSON.parse(readFileSync(join(output, 'sdconvert.json'), 'utf8'));
    expect(record.artifacts['onnx/unet'].findings).toHaveLength(2);
  });

  test('they are reused with it, and refused without it', async () => {
    const output = temporary('allowed twice');
    await convert(unetWithNaN, output, allowed);
    const { artifacts, notes } = await convert(unetWithNaN, output, allowed);
    expect(artifacts).toMatchObject([{ kept: true, findings }]);
    expect(notes.join(' ')).toContain('written although not finite (--allow-non-finite)');
    const error = await rejectionOf(convert(unetWithNaN, output, { models: ['unet'] }));
    expect(error).toBeInstanceOf(NonFiniteWeightError);
    expect(existsSync(join(output, 'onnx/unet/model.onnx'))).toBe(true);
  });

  test('a healthy checkpoint gives the same files, and findings of nothing', async () => {
    const [strict, lenient] = [temporary('strict'), temporary('lenient')];
    const { artifacts, notes } = await convert(sdShapes, strict);
    await convert(sdShapes, lenient, { allowNonFinite: true });
    expect(artifacts[0]).not.toHaveProperty('findings');
    expect(notes).toEqual([]);
    renameSync(join(lenient, 'sdconvert.json'), join(lenient, 'lenient.json'));
    expect(readFileSync(join(lenient, 'lenient.json'))).toEqual(readFileSync(join(strict, 'sdconvert.json')));
  });
});

test('a matrix of zeros is converted with a note; biases and norms may be anything finite', async () => {
  const dead = await changedCheckpoint(temporary('dead/sd-shapes'), vae, {
    [kernel]: (values) => values.fill(0),
    'encoder.conv_in.bias': (values) => values.fill(0),
    'encoder.conv_norm_out.weight': (values) => values.fill(20_000),
    'encoder.conv_out.weight': (values) => values.fill(0.5),
  });
  const { artifacts, notes } = await convert(dead, temporary('dead out'));
  expect(artifacts[0]?.findings).toEqual([
    { problem: 'constant', weight: kernel, elements: 432, value: 0 },
    expect.objectContaining({ problem: 'constant', weight: 'encoder.conv_out.weight', value: 0.5 }),
  ]);
  expect(notes.join(' ')).toContain(`vae_encoder: ${kernel} (every element is 0)`);
});
