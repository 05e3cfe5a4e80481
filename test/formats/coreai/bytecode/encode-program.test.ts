import { expect, test } from 'vitest';
import { layOutProgram } from '../../../../src/formats/coreai/bytecode/encode-program.ts';
import { OperationWriter, tensorType } from '../../../../src/formats/coreai/lower/operation-writer.ts';
import type { Attribute, Program } from '../../../../src/formats/coreai/program.ts';
import type { TensorStream } from '../../../../src/weights/tensor-stream.ts';

const GIGABYTE = 1e9;

function unread(name: string, byteLength: number): TensorStream {
  return {
    name,
    byteLength,
    stream() {
      throw new Error(`${name} was read`);
    },
  };
}

/** A program that gives out these tensors. */
function programOf(tensors: readonly TensorStream[]): Program {
  const write = new OperationWriter();
  const outputs = tensors.map((tensor) => ({
    name: tensor.name,
    value: write.stored(tensorType('u8', [tensor.byteLength]), tensor),
  }));
  return {
    stamp: 20260409,
    graphs: [{ name: 'main', isPublic: true, inputs: [], outputs, operations: write.operations }],
  };
}

test('a file of 9 GB is laid out without reading a weight: all sizes add up, and weights begin where they can be mapped', () => {
  const tensors = [3, 5, 1].map((size, index) => unread(`w${index}`, size * GIGABYTE + index));
  const { parts, byteLength } = layOutProgram(programOf(tensors));
  let end = 0;
  for (const { offset, tensor } of parts) {
    expect(offset).toBe(end);
    end += tensor.byteLength;
  }
  expect(byteLength).toBe(end);
  expect(byteLength).toBeGreaterThan(9 * GIGABYTE);
  const placed = parts.filter(({ tensor }) => tensors.includes(tensor));
  expect(placed.map(({ tensor }) => tensor)).toEqual(tensors);
  for (const { offset } of placed) expect(offset % 16).toBe(0);
});

test('a tensor that two constants have lies in the file once', () => {
  const tensor = unread('w', 1000);
  const { parts } = layOutProgram(programOf([tensor, tensor]));
  expect(parts.filter((part) => part.tensor === tensor)).toHaveLength(1);
});

test('tensors of one name get different ones: runtimes would take the last for both', async () => {
  const { parts } = layOutProgram(programOf([unread('w', 10), unread('w', 10)]));
  const last = parts.at(-1)?.tensor.stream() as Iterable<Uint8Array>;
  const text = Buffer.concat([...last]).toString('latin1');
  expect(text).toContain('w\0');
  expect(text).toContain('w_2\0');
});

test('an attribute that stands in many others is encoded once, however often it is reached', () => {
  let reads = 0;
  let attribute: Attribute = {
    get kind() {
      reads++;
      return 'unit' as const;
    },
  };
  for (let depth = 0; depth < 18; depth++) attribute = { kind: 'array', items: [attribute, attribute] };
  const declaration = { name: 'd', inputNames: [], attributes: { a: attribute }, outputNames: [] };
  const { graphs, ...program } = programOf([]);
  layOutProgram({ ...program, graphs: graphs.map((graph) => ({ ...graph, declaration })) });
  expect(reads).toBeLessThan(10);
});
