import { expect, test } from 'vitest';
import { buildProgram } from '../../../../src/formats/coreai/lower/build-program.ts';
import { coreAiModel } from '../../../../src/formats/coreai/model.ts';
import { openAsset } from '../../../../src/formats/coreai/open-asset.ts';
import type { Operation, Value } from '../../../../src/formats/coreai/program.ts';
import { decodeConstant, isDecoder } from '../../../../src/formats/coreai/to-onnx/decode-constant.ts';
import { writeFiles } from '../../../../src/formats/write-files.ts';
import type { PaletteBits } from '../../../../src/quantize/palette/palette.ts';
import { planQuantization, type QuantizationOptions } from '../../../../src/quantize/plan.ts';
import { float16Value } from '../../../../src/weights/convert-dtype.ts';
import {
  linearized,
  palettized,
  quantizable,
  smallNetwork,
  smallNumbers,
  withReplaced,
} from '../../../quantize/small-network.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { operation, tensor } from '../small-programs.ts';

const at = temporaryFolder();
let count = 0;
const numbers = smallNumbers();

/** The weights that a written asset decodes, in order, as the numbers of their float16 bytes. */
async function decoded(quantization: QuantizationOptions): Promise<number[][]> {
  const name = { network: 'unet', whole: 'unet' } as const;
  const model = coreAiModel({ program: buildProgram(smallNetwork(numbers)), metadata: {} }, name);
  const path = at(String(++count));
  await writeFiles(path, await model.rewritten(planQuantization(quantization)).artifact.contents(), () => {});
  const asset = await openAsset(path);
  try {
    const operations = asset.program.graphs.flatMap((graph) => graph.operations);
    const all: number[][] = [];
    for (const each of operations.filter(isDecoder)) {
      const bytes = await decodeConstant(each, constantsOf(operations));
      all.push(Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), float16Value));
    }
    return all;
  } finally {
    await asset.close();
  }
}

function constantsOf(operations: readonly Operation[]): ReadonlyMap<Value, Operation> {
  return new Map(operations.flatMap((each) => each.results.map((value) => [value, each] as const)));
}

/** The numbers of the quantised weights as a plain loop replaces them. */
function replaced(replace: (numbers: Float32Array, name: string) => Float32Array): number[][] {
  const all = withReplaced(numbers, replace);
  return quantizable.map((name) => Array.from(all.get(name) ?? []));
}

test.each([1, 2, 3, 4, 6, 8] as const)(
  'palettes of %d bits are decoded to the very numbers',
  async (bits) => {
    expect(await decoded({ bits })).toEqual(replaced((given) => palettized(given, bits)));
  },
);

test.each([3, 6] as const)('so are those of %d bits for every 16 channels', async (bits: PaletteBits) => {
  const groups = (name: string) => (name === 'conv.weight' ? 4 : 6);
  expect(await decoded({ bits, groupSize: 16 })).toEqual(
    replaced((given, name) => palettized(given, bits, groups(name))),
  );
});

test.each([
  ['linear', 4],
  ['linear', 8],
  ['linear-symmetric', 4],
  ['linear-symmetric', 8],
] as const)(
  'scaled whole numbers, %s in %d bits and blocks of 32, are decoded to the very numbers',
  async (mode, bits) => {
    expect(await decoded({ bits, mode, groupSize: 32 })).toEqual(
      replaced((given, name) =>
        linearized(given, bits, name === 'conv.weight' ? 36 : 32, mode === 'linear-symmetric', bits === 8),
      ),
    );
  },
);

test('a vector of a palette lies along its axis', async () => {
  const constant = (element: 'u1' | 'f32' | 'i16', shape: readonly number[], bytes: Uint8Array): Operation =>
    operation('primitive.constant_v1', [], [{ type: tensor(element, ...shape) }], {
      properties: [{ kind: 'tensor', bytes, splat: false }],
    });
  const parts = [
    constant('u1', [1, 3], Uint8Array.of(0b101)),
    constant('f32', [1, 1, 2, 2], new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer)),
    constant('i16', [], Uint8Array.of(0, 0)),
  ];
  const operands = parts.flatMap(({ results }) => results);
  const lut = operation('primitive.lut_to_dense_v1', operands, [{ type: tensor('f32', 2, 3) }]);
  const bytes = await decodeConstant(lut, constantsOf(parts));
  // Indices 1 0 1 stand for (3 4) (1 2) (3 4), each downwards.
  expect(Array.from(new Float32Array(bytes.buffer))).toEqual([3, 1, 3, 4, 2, 4]);
});

test('blocks that do not divide a weight are refused', async () => {
  const constant = (element: 'i8' | 'f32', shape: readonly number[]): Operation =>
    operation('primitive.constant_v1', [], [{ type: tensor(element, ...shape) }], {
      properties: [{ kind: 'tensor', bytes: new Uint8Array(element === 'f32' ? 4 : 1), splat: true }],
    });
  const parts = [
    constant('i8', [4, 6]),
    constant('f32', [4, 4]),
    constant('i8', [4, 4]),
    constant('f32', [4, 4]),
  ];
  const operands = parts.flatMap(({ results }) => results);
  const scaled = operation('primitive.blockwise_shift_scale_v2', operands, [{ type: tensor('f32', 4, 6) }]);
  await expect(decodeConstant(scaled, constantsOf(parts))).rejects.toThrow(
    '[4,4] blocks do not divide [4,6]',
  );
});
