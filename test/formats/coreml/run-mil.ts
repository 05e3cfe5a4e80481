import { type MilDType, milElement } from '../../../src/formats/coreml/mil/mil-dtype.ts';
import type { RunnerOptions, TensorMap } from '../../../src/formats/runner.ts';
import { openRunner } from '../../../src/run/open-runner.ts';
import type { TensorData } from '../../../src/weights/tensor-data.ts';
import { feature, smallModel, writeSmallPackage } from './small-package.ts';

/** A small ML Program: what it is given, its operations as text, and which of their values it gives. */
export interface SmallProgram {
  readonly inputs: Readonly<Record<string, TensorData<'f32' | 'i32'>>>;
  readonly operations: string;
  readonly outputs: readonly string[];
  /** The dtype of its float inputs. */
  readonly dtype?: MilDType;
  readonly weights?: Uint8Array;
}

/** Writes a program as a package for iOS 18. */
export function writeProgram(folder: string, program: SmallProgram): string {
  const { inputs, operations, outputs, dtype = 'fp32', weights } = program;
  const parameters = Object.entries(inputs).map(([name, { dtype: given, shape }]) => {
    return `tensor<${given === 'i32' ? 'int32' : dtype}, [${shape.join(', ')}]> ${name}`;
  });
  const text = `program(1.3){func main<ios18>(${parameters.join(', ')}){${operations}}->(${outputs.join(', ')});}`;
  const model = smallModel({ text, specificationVersion: 9 });
  const input = Object.entries(inputs).map(([name, { dtype: given, shape }]) =>
    feature(name, shape, milElement(given === 'i32' ? 'int32' : dtype).array),
  );
  const description = model.description && { ...model.description, input };
  return writeSmallPackage(folder, { model: { ...model, description }, weights });
}

/** Writes a program as a package and runs it. */
export async function runProgram(
  folder: string,
  program: SmallProgram,
  options: Partial<RunnerOptions> = {},
): Promise<TensorMap> {
  const runner = await openRunner(writeProgram(folder, program), { optimize: false, ...options });
  try {
    return await runner.run(new Map(Object.entries(program.inputs)));
  } finally {
    await runner.close();
  }
}

export function f32(shape: readonly number[], values: Iterable<number>): TensorData<'f32'> {
  return { dtype: 'f32', shape, data: Float32Array.from(values) };
}

export function i32(shape: readonly number[], values: readonly number[]): TensorData<'i32'> {
  return { dtype: 'i32', shape, data: Int32Array.from(values) };
}

/** A weight file with one blob of float16 numbers, given as their bits. */
export function float16Blob(bits: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(128 + 2 * bits.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, 2, true);
  view.setUint32(64, 0xdeadbeef, true);
  view.setUint32(68, 1, true);
  view.setBigUint64(72, BigInt(2 * bits.length), true);
  view.setBigUint64(80, 128n, true);
  for (const [index, each] of bits.entries()) view.setUint16(128 + 2 * index, each, true);
  return bytes;
}
