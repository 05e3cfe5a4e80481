import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedError, NotReadError } from '../../../../src/formats/coreai/bytecode/byte-reader.ts';
import { readProgram } from '../../../../src/formats/coreai/bytecode/read-program.ts';
import { isStored } from '../../../../src/formats/coreai/bytecode/stored-tensor.ts';
import { buildProgram } from '../../../../src/formats/coreai/lower/build-program.ts';
import type { Attribute, Program } from '../../../../src/formats/coreai/program.ts';
import { readStream } from '../../../../src/weights/tensor-stream.ts';
import { memorySource } from '../../../support/memory-source.ts';
import { everyCase, graphOfCases } from '../../../support/op-cases/every-case.ts';
import { encoded, operation, programOf, programs, tensor, weight } from '../small-programs.ts';

const read = (bytes: Uint8Array): Promise<Program> => readProgram(memorySource(bytes, 'main.mlirb'));

test('whatever is written is read as it was: encoded again, it is the same bytes', async () => {
  await fc.assert(
    fc.asyncProperty(programs, async (program) => {
      const bytes = await encoded(program);
      const found = await read(bytes);
      expect(found.graphs.map(({ name, isPublic }) => ({ name, isPublic }))).toEqual(
        program.graphs.map(({ name, isPublic }) => ({ name, isPublic })),
      );
      expect(Buffer.compare(await encoded(found), bytes)).toBe(0);
    }),
  );
});

test('the program of every operation is read as it was written', async () => {
  const bytes = await encoded(buildProgram(graphOfCases(everyCase)));
  expect(Buffer.compare(await encoded(await read(bytes)), bytes)).toBe(0);
});

test('weights are found, and not read, in a file whose other parts are read in small pieces', async () => {
  const large = new Uint8Array(5_000_000).map((_, at) => at % 251);
  const constant = weight('w', tensor('u8', large.length), large);
  const bytes = await encoded(
    programOf(
      [constant],
      [],
      constant.results.map((value) => ({ name: 'y', value })),
    ),
  );
  const source = memorySource(bytes, 'main.mlirb');
  const { graphs } = await readProgram(source);
  expect(source.largestRead).toBeLessThan(5000);
  const [stored] = graphs[0]?.operations[0]?.properties ?? [];
  if (stored?.kind !== 'resource' || !isStored(stored.tensor)) throw new Error('it is no weight');
  expect(stored.tensor.name).toBe('w');
  expect(stored.tensor.offset % 16).toBe(0);
  expect(Buffer.compare(await readStream(stored.tensor), large)).toBe(0);
});

/** Whether a file is read, or refused for what is wrong with it. */
async function outcome(bytes: Uint8Array): Promise<string> {
  try {
    await read(bytes);
    return 'read';
  } catch (error) {
    if (error instanceof MalformedError || error instanceof NotReadError) return 'refused';
    throw error;
  }
}

test('a file that is cut short anywhere is refused', async () => {
  const w = weight('w', tensor('f32', 4), new Uint8Array(16));
  const bytes = await encoded(
    programOf(
      [w],
      [],
      w.results.map((value) => ({ name: 'y', value })),
    ),
  );
  for (let end = 4; end < bytes.length; end++) expect(await outcome(bytes.subarray(0, end))).toBe('refused');
});

test('a file with changed bytes is read, or refused for what is wrong with it', async () => {
  await fc.assert(
    fc.asyncProperty(programs, fc.array(fc.tuple(fc.nat(), fc.nat(255))), async (program, changes) => {
      const bytes = await encoded(program);
      for (const [at, byte] of changes) bytes[4 + (at % (bytes.length - 4))] = byte;
      expect(['read', 'refused']).toContain(await outcome(bytes));
    }),
  );
});

test('two weights of one name are refused: runtimes give both the last', async () => {
  const both = ['twice_1', 'twice_2'].map((name) => weight(name, tensor('u8', 3), Uint8Array.of(1, 2, 3)));
  const results = both.flatMap(({ results: values }) => values);
  const bytes = await encoded(
    programOf(
      both,
      [],
      results.map((value) => ({ value })),
    ),
  );
  const text = Buffer.from(bytes).toString('latin1');
  const renamed = Buffer.from(text.replace('twice_2', 'twice_1'), 'latin1');
  // Two texts of one content are what a faulty writer makes; readers compare texts, not their numbers.
  await expect(read(new Uint8Array(renamed))).rejects.toThrow('two of its weights are called "twice_1"');
});

test('an attribute that holds itself is refused', async () => {
  const own: Attribute = { kind: 'array', items: [{ kind: 'string', text: 'of its own' }] };
  const cyclic = operation('primitive.constant_v1', [], [{ type: tensor('f32') }], {
    properties: [{ kind: 'array', items: Array(3).fill(own) }],
  });
  const bytes = await encoded(programOf([cyclic], [], []));
  // The list of three lists, which comes right after the one that they are, becomes a list of itself.
  const at = Buffer.from(bytes).indexOf(Buffer.from([0x0b, 0x07]));
  bytes[at + 2] = (bytes[at + 2] ?? 0) + 2;
  await expect(read(bytes)).rejects.toThrow('holds others without end');
});

test('functions that are declared alike share one declaration, of whatever length', async () => {
  const { graphs, ...program } = programOf([], [], []);
  const declaration = { name: 'd', inputNames: ['x'], attributes: {}, outputNames: ['y'] };
  const alike = ['a', 'b'].map((name) => graphs.map((graph) => ({ ...graph, name, declaration })));
  const found = await read(await encoded({ ...program, graphs: alike.flat() }));
  expect(found.graphs[0]?.declaration).toEqual(declaration);
  expect(found.graphs[1]?.declaration).toBe(found.graphs[0]?.declaration);
});

const long = 'x'.repeat(1000);

test.each([
  ['operation', programOf([operation(`primitive.${long}`, [], [])], [], [])],
  ['weight', programOf([weight(long, tensor('u8', 1), new Uint8Array(1))], [], [])],
  ['input', programOf([], [{ name: long, value: { type: tensor('f32', 1) } }], [])],
])(
  'the name of an %s that is longer than any is refused: it may be repeated everywhere',
  async (_, program) => {
    await expect(read(await encoded(program))).rejects.toThrow(/^a name in it has \d+ letters$/);
  },
);

test('an operation with more properties than any is refused: all may have the same ones', async () => {
  const properties = Array(20).fill({ kind: 'unit' });
  const constant = operation('primitive.constant_v1', [], [{ type: tensor('f32') }], { properties });
  await expect(read(await encoded(programOf([constant], [], [])))).rejects.toThrow(
    'an operation in it has properties without end',
  );
});
