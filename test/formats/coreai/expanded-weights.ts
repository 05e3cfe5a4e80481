import {
  type FixedValue,
  OperationWriter,
  tensorType,
} from '../../../src/formats/coreai/lower/operation-writer.ts';
import type { Operation, Port, Program } from '../../../src/formats/coreai/program.ts';
import { compressedForm } from '../../../src/formats/coreai/quantize/compressed-forms.ts';
import { planQuantization, type QuantizationOptions } from '../../../src/quantize/plan.ts';
import { float16Bits } from '../../../src/weights/convert-dtype.ts';
import { memoryStream } from '../../../src/weights/tensor-stream.ts';
import { scattered } from '../../support/scattered.ts';
import { programOf } from './small-programs.ts';

/** Every form of weights that assets have. */
const forms: Readonly<Record<string, QuantizationOptions>> = {
  ...Object.fromEntries([1, 2, 3, 4, 6, 8].map((bits) => [`palette_${bits}`, { bits }])),
  palettes_6: { bits: 6, groupSize: 16 },
  linear_4: { bits: 4, mode: 'linear' },
  linear_8: { bits: 8, mode: 'linear' },
  symmetric_4: { bits: 4, mode: 'linear-symmetric' },
  symmetric_8: { bits: 8, mode: 'linear-symmetric' },
  blocks_4: { bits: 4, mode: 'linear', groupSize: 32 },
  blocks_8: { bits: 8, mode: 'linear', groupSize: 32 },
};

const SHAPE = [96, 64] as const;

/** What the program takes. */
export const expandedFeeds = { x: { dtype: 'f32', shape: [2], data: Float32Array.of(0, 1) } } as const;

/** A program that gives a weight in every form, expanded: x [2] → x + x, and each form's [96,64] in this dtype. */
export function expandedWeights(dtype: 'f16' | 'f32'): Program {
  const x: FixedValue = { type: tensorType('f32', [2]) };
  const write = new OperationWriter();
  const outputs: Port[] = [{ name: 'twice', value: write.operation('primitive.add_v1', [x, x], x.type) }];
  const operations: Operation[] = [...write.operations];
  // Mostly above zero: zero points lie outside of the middle.
  const numbers = scattered(SHAPE[0] * SHAPE[1], 5).map((number) => number ** 3 / 8 + 0.03);
  const stored = dtype === 'f16' ? Uint16Array.from(numbers, float16Bits) : numbers;
  for (const [name, options] of Object.entries(forms)) {
    const value = { type: tensorType(dtype, SHAPE) };
    const tensor = { ...memoryStream(name, new Uint8Array(stored.buffer)), dtype, shape: SHAPE };
    const weight = { name, shape: SHAPE, outputAxis: 0, inputAxis: 1, dtype, tensor, value };
    const form = planQuantization(options)(weight);
    if (!form) throw new Error(`${name} is no form`);
    operations.push(...compressedForm(weight, form).operations);
    outputs.push({ name, value });
  }
  return programOf(operations, [{ name: 'x', value: x }], outputs);
}
