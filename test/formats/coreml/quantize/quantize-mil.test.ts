import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FileFormatError, RequestError } from '../../../../src/errors.ts';
import { buildCoreMl } from '../../../../src/formats/coreml/build/build-model.ts';
import type { DeploymentTarget } from '../../../../src/formats/coreml/deployment-target.ts';
import type { MilModel } from '../../../../src/formats/coreml/mil/mil-model.ts';
import { programFunctions, withValues } from '../../../../src/formats/coreml/mil/mil-program.ts';
import type { Model, Operation, Value } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { layOut } from '../../../../src/formats/coreml/package/lay-out.ts';
import { packageFiles, writePackage } from '../../../../src/formats/coreml/package/package.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import { streamedModel } from '../../../../src/formats/coreml/package/streamed-model.ts';
import { quantizeMil } from '../../../../src/formats/coreml/quantize/quantize-mil.ts';
import { splitMil } from '../../../../src/formats/coreml/split-mil.ts';
import { decodeConstants } from '../../../../src/formats/coreml/to-onnx/decode-constant.ts';
import type { PaletteBits } from '../../../../src/quantize/palette/palette.ts';
import { planQuantization, type QuantizationOptions } from '../../../../src/quantize/plan.ts';
import { openRunner } from '../../../../src/run/open-runner.ts';
import {
  linearized,
  type Numbers,
  palettized,
  smallFeeds,
  smallNetwork,
  smallNumbers,
  withReplaced,
} from '../../../quantize/small-network.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { rejectionOf, thrownBy } from '../../../support/thrown-by.ts';

const inFolder = temporaryFolder();
const numbers = smallNumbers();
const names = ['conv_weight', 'linear_weight'];
let packages = 0;

function built(target: DeploymentTarget, given: Numbers = numbers): Model {
  const description = {
    shortDescription: '',
    author: '',
    license: '',
    version: '',
    features: {},
    userDefined: {},
  };
  return buildCoreMl(smallNetwork(given), { target, description });
}

function quantized(
  options: QuantizationOptions,
  target: DeploymentTarget = 'macOS13',
  given: Numbers = numbers,
) {
  return quantizeMil(built(target, given), 'small', planQuantization(options));
}

/** Writes a package; its files have the sizes that were planned. */
async function written(model: Model): Promise<string> {
  const path = inFolder(`${packages++}.mlpackage`);
  await writePackage(path, model, () => {});
  for (const { name, byteLength } of packageFiles(model))
    expect(statSync(join(path, name)).size).toBe(byteLength);
  return path;
}

/** Writes a package and opens it with every check, for the time of `look`. */
async function opened<T>(unread: Model, look: (model: MilModel) => Promise<T>): Promise<T> {
  const model = await openMlPackage(await written(unread));
  try {
    return await look(model);
  } finally {
    await model.close();
  }
}

function operationsOf({ program }: Pick<MilModel, 'program'>): Operation[] {
  return programFunctions(program).flatMap(({ block }) => [...block.operations]);
}

/** The numbers that Core ML gets of a quantised weight. */
async function decoded(model: MilModel, name: string): Promise<number[]> {
  const byName = new Map(
    operationsOf(model).flatMap((each) => each.outputs.map((output) => [output.name, each] as const)),
  );
  const operation = byName.get(name);
  if (!operation) throw new Error(`there is no ${name}`);
  const operationOf = (each: string) => byName.get(each);
  const [constant] = await decodeConstants(operation, { weights: model.weights, operationOf });
  return Array.from(constant?.data ?? []);
}

/** The numbers of the quantised weights as a plain loop replaces them. */
function replaced(replace: (numbers: Float32Array, name: string) => Float32Array): number[][] {
  const all = withReplaced(numbers, replace);
  return ['conv.weight', 'linear.weight'].map((name) => Array.from(all.get(name) ?? []));
}

async function expectNumbers(
  options: QuantizationOptions,
  target: DeploymentTarget,
  expected: number[][],
): Promise<string[]> {
  const { model: unread, weights } = quantized(options, target);
  expect(weights.map(({ name }) => name)).toEqual(names);
  return opened(unread, async (model) => {
    for (const [i, name] of names.entries()) expect(await decoded(model, name)).toEqual(expected[i]);
    return operationsOf(model)
      .map(({ type }) => type)
      .filter((type) => type.startsWith('constexpr_'));
  });
}

describe('Core ML gets exactly the numbers of the palettes', () => {
  test.each([1, 2, 4, 6, 8] as const)('%d bits, in the form of iOS 16', async (bits) => {
    const types = await expectNumbers(
      { bits },
      'macOS13',
      replaced((given) => palettized(given, bits)),
    );
    expect(types).toEqual(['constexpr_lut_to_dense', 'constexpr_lut_to_dense']);
  });

  test.each([1, 2, 3, 4, 6, 8] as const)('%d bits, in the form of iOS 18', async (bits) => {
    await expectNumbers(
      { bits },
      'macOS15',
      replaced((given) => palettized(given, bits)),
    );
  });

  test.each([3, 4] as const)('%d bits, a palette for every 16 channels', async (bits: PaletteBits) => {
    const groups = (name: string) => (name === 'conv.weight' ? 4 : 6);
    await expectNumbers(
      { bits, groupSize: 16 },
      'macOS15',
      replaced((given, name) => palettized(given, bits, groups(name))),
    );
  });

  test('a group that does not divide the channels leaves one palette', async () => {
    await expectNumbers(
      { bits: 4, groupSize: 60 },
      'macOS15',
      replaced((given) => palettized(given, 4)),
    );
  });
});

test('palettes in 8 bits: 16 numbers a group, each a whole multiple of the group’s scale', async () => {
  const { model: unread } = quantized({ bits: 4, groupSize: 32, int8Palette: true }, 'macOS15');
  await opened(unread, async (model) => {
    const conv = await decoded(model, 'conv_weight');
    for (const half of [conv.slice(0, conv.length / 2), conv.slice(conv.length / 2)]) {
      expect(new Set(half).size).toBe(16);
      const largest = Math.max(...half.map(Math.abs));
      // The scale and each product are rounded to float16: 11 bits.
      for (const value of half)
        expect(Math.abs((value / largest) * 127 - Math.round((value / largest) * 127))).toBeLessThan(0.13);
    }
    expect(operationsOf(model).filter(({ type }) => type === 'constexpr_blockwise_shift_scale')).toHaveLength(
      2,
    );
  });
});

test('scaled channels: 16 numbers times each channel’s largest, which is kept', async () => {
  const { model: unread, weights } = quantized({ bits: 4, channelScales: true }, 'macOS15');
  await opened(unread, async (model) => {
    for (const [i, name] of names.entries()) {
      const given = numbers.get(i === 0 ? 'conv.weight' : 'linear.weight') ?? new Float32Array();
      const got = await decoded(model, name);
      const size = i === 0 ? 36 : 64;
      let squaredError = 0;
      const shares = new Set<number>();
      for (let begin = 0; begin < given.length; begin += size) {
        const scale = Math.max(...given.subarray(begin, begin + size).map(Math.abs));
        for (let at = begin; at < begin + size; at++) {
          squaredError += ((given[at] ?? 0) - (got[at] ?? 0)) ** 2;
          // A product is rounded to float16: one part in 2048.
          shares.add(Math.round(((got[at] ?? 0) / scale) * 200));
        }
      }
      expect(shares.size).toBeLessThanOrEqual(32);
      expect((await weights[i]?.error())?.squaredError).toBeCloseTo(squaredError, 12);
      expect(squaredError).toBeGreaterThan(0);
    }
  });
});

describe('Core ML gets exactly the numbers of linear quantisation', () => {
  const perChannel = (bits: 4 | 8, symmetric: boolean) =>
    replaced((given, name) => linearized(given, bits, name === 'conv.weight' ? 36 : 64, symmetric));

  test.each(['linear', 'linear-symmetric'] as const)('%s, 8 bits, in the form of iOS 16', async (mode) => {
    const types = await expectNumbers(
      { bits: 8, mode },
      'macOS13',
      perChannel(8, mode === 'linear-symmetric'),
    );
    expect(types).toEqual(['constexpr_affine_dequantize', 'constexpr_affine_dequantize']);
  });

  test.each([
    [8, 'linear'],
    [4, 'linear-symmetric'],
    [4, 'linear'],
  ] as const)('%d bits, %s, in the form of iOS 18', async (bits, mode) => {
    const types = await expectNumbers(
      { bits, mode },
      'macOS15',
      perChannel(bits, mode === 'linear-symmetric'),
    );
    expect(types).toEqual(['constexpr_blockwise_shift_scale', 'constexpr_blockwise_shift_scale']);
  });

  test('4 bits, a scale for every 16 inputs', async () => {
    const { model: unread } = quantized(
      { bits: 4, mode: 'linear', groupSize: 16, weights: ['linear*'] },
      'macOS15',
    );
    const expected = linearized(numbers.get('linear.weight') ?? new Float32Array(), 4, 16, false);
    await opened(unread, async (model) => {
      expect(await decoded(model, 'linear_weight')).toEqual([...expected]);
    });
  });
});

test('a quantised package computes what one with the quantised numbers computes', async () => {
  const run = async (model: Model) => {
    const runner = await openRunner(await written(model), { optimize: false });
    try {
      return (await runner.run(new Map(Object.entries(smallFeeds)))).get('y')?.data;
    } finally {
      await runner.close();
    }
  };
  const { model: unread } = quantized({ bits: 6 });
  expect(await run(unread)).toEqual(
    await run(
      built(
        'macOS13',
        withReplaced(numbers, (given) => palettized(given, 6)),
      ),
    ),
  );
});

test('palettes of up to 8 numbers stand in the program, larger ones in the weight file', async () => {
  for (const bits of [2, 4] as const) {
    const { model: unread } = quantized({ bits });
    await opened(unread, async (model) => {
      const luts = operationsOf(model).flatMap(({ attributes }) => attributes.lut ?? []);
      expect(luts.map(({ blobFileValue }) => blobFileValue !== undefined)).toEqual(Array(2).fill(bits === 4));
    });
  }
});

test.each([
  [{ bits: 2 }, 2],
  [{ bits: 6 }, 2],
  [{ bits: 8, mode: 'linear' }, 2],
] as const)(
  'a weight in the form %o is read %d times: for what it needs to know, and for the numbers',
  async (options, times) => {
    const readings = new Map<string, number>();
    const counted = (value: Value): Value => {
      const { streamedValue } = value;
      if (!streamedValue) return value;
      const { name } = streamedValue;
      const stream = () => {
        readings.set(name, (readings.get(name) ?? 0) + 1);
        return streamedValue.stream();
      };
      return { ...value, streamedValue: { ...streamedValue, stream } };
    };
    const { mlProgram, ...rest } = built('macOS13');
    if (!mlProgram) throw new Error('there is no program');
    const given = { ...rest, mlProgram: withValues(mlProgram, counted) };
    const { model, weights } = quantizeMil(given, 'small', planQuantization(options));
    await written(model);
    for (const { error } of weights) await error();
    expect([readings.get('conv.weight'), readings.get('linear.weight')]).toEqual([times, times]);
  },
);

test('a package that is quantised already stays as it is', async () => {
  const path = await written(quantized({ bits: 4 }).model);
  const model = await openMlPackage(path);
  const again = quantizeMil(streamedModel(model), path, planQuantization({ bits: 8, mode: 'linear' }));
  expect(again.weights).toEqual([]);
  expect(packageFiles(again.model)).toEqual(packageFiles(quantized({ bits: 4 }).model));
  await model.close();
});

test('chunks of a quantised package share its palettes out, none is in both', async () => {
  const { model } = quantized({ bits: 4 });
  const chunks = splitMil(model, 'small', 1e9).map((chunk) => layOut(chunk));
  const palettes = chunks.map(
    ({ weights }) => weights.placed.filter(({ blob }) => blob.name.endsWith(', lut')).length,
  );
  expect(palettes).toHaveLength(2);
  expect(palettes.reduce((sum, count) => sum + count, 0)).toBe(2);
  // A header more.
  const bytes = chunks.reduce((sum, { weights }) => sum + weights.byteLength, 0);
  expect(bytes).toBeLessThan(layOut(model).weights.byteLength + 512);
});

test.each([
  ['palettes of 3 bits', { bits: 3 }],
  ['palettes for groups of channels', { bits: 4, groupSize: 16 }],
  ['palettes stored in 8 bits', { bits: 4, int8Palette: true }],
  ['palettes for scaled channels', { bits: 4, channelScales: true }],
  ['linear quantisation to 4 bits', { bits: 4, mode: 'linear' }],
  ['scales for blocks of channels', { bits: 8, mode: 'linear', groupSize: 16 }],
] as const)('before iOS 18 there are no %s', async (what, options) => {
  const error = thrownBy(() => quantized(options, 'macOS14'));
  expect(error).toBeInstanceOf(RequestError);
  expect(error.problem).toContain(what);
});

test('a weight that holds infinities is refused by name', async () => {
  const broken = new Map(numbers).set('conv.weight', new Float32Array(2304).fill(1e6, 7, 8));
  for (const options of [{ bits: 6 }, { bits: 2 }, { bits: 8, mode: 'linear' }] as const) {
    const { model: unread } = quantized(options, 'macOS13', broken);
    const error = await rejectionOf(written(unread));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toBe(
      'conv_weight cannot be quantised: 1 element of it is infinite or NaN in float16.',
    );
    expect(error.advice).toContain('--skip-weights conv_weight');
  }
});
