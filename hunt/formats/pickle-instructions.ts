import {
  APPEND,
  BINPERSID,
  BUILD,
  EMPTY_DICT,
  EMPTY_LIST,
  EMPTY_TUPLE,
  global,
  integer,
  MARK,
  NONE,
  REDUCE,
  SETITEM,
  SETITEMS,
  stackGlobal,
  TUPLE,
  tensor,
  text,
} from '../../test/support/pickle-bytes.ts';
import type { Mutator } from '../format.ts';
import { LARGEST_INPUT, mutateBytes } from '../mutate-bytes.ts';
import { oddTexts } from '../mutate-text.ts';
import type { Random } from '../random.ts';

/** Changes a pickle, or several in a row, instruction by instruction. */
export const mutateInstructions: Mutator = (bytes, random) => {
  const instructions = instructionsOf(bytes);
  const at = random.below(instructions.length);
  const count = random.length(Math.min(30, instructions.length));
  const piece = instructions.slice(at, at + count);
  switch (random.below(8)) {
    case 0:
      instructions.splice(at, count);
      break;
    case 1:
      instructions.splice(random.below(instructions.length), 0, ...piece);
      break;
    case 2:
      instructions.splice(at, count, ...piece.toReversed());
      break;
    case 3:
      instructions.splice(at, 0, ...new Array<Uint8Array>(random.length(100_000)).fill(foreign(random)));
      break;
    case 4:
      instructions.splice(at, 1, mutateBytes(instructions[at] ?? bytes, random));
      break;
    default:
      instructions.splice(
        at,
        random.below(2),
        ...Array.from({ length: random.length(8) }, () => foreign(random)),
      );
  }
  return new Uint8Array(Buffer.concat(instructions).subarray(0, LARGEST_INPUT));
};

/** Names that must not be followed, and some that may. */
const names: readonly (readonly [string, string])[] = [
  ['os', 'system'],
  ['builtins', 'eval'],
  ['subprocess', 'Popen'],
  ['torch', 'load'],
  ['my.trainer', 'Config'],
  ['torch', 'FloatStorage'],
  ['torch._utils', '_rebuild_tensor_v2'],
  ['collections', 'OrderedDict'],
  ['collections', 'defaultdict'],
  ['numpy.core.multiarray', 'scalar'],
  ['__proto__', 'constructor'],
];

function foreign(random: Random): Uint8Array {
  const [module, name] = random.pick(names);
  const wild = (): number => random.pick([-1, 0, 1, 2, 7, 2 ** 31 - 1, random.below(1 << 16)]);
  const one = random.pick<() => readonly number[]>([
    () => random.pick([MARK, TUPLE, EMPTY_TUPLE, EMPTY_LIST, APPEND, EMPTY_DICT, SETITEM, SETITEMS]),
    () =>
      random.pick([REDUCE, BUILD, NONE, BINPERSID, [0x30], [0x31], [0x32], [0x2e], [0x65], [0x81], [0x94]]),
    () => (random.oneIn(2) ? global(module, name) : stackGlobal(module, name)),
    () => text(random.pick(oddTexts)),
    () => integer(wild()),
    () => tensor({ shape: [wild(), wild()], strides: [wild(), wild()], offset: wild(), elements: wild() }),
    () => [0x71 - 9 * random.below(2), random.below(20)], // keep and recall
    () => [random.below(256)],
  ]);
  return Uint8Array.from(one());
}

/** The instructions of pickles, with their arguments; what is none is cut into single bytes. */
function instructionsOf(bytes: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + argumentBytes(bytes, at));
    found.push(bytes.subarray(at, end));
    at = end;
  }
  return found.length > 0 ? found : [new Uint8Array()];
}

/** Opcodes with an argument of so many bytes (pickletools). */
const fixed: ReadonlyMap<number, number> = new Map([
  [0x80, 1],
  [0x4b, 1],
  [0x4d, 2],
  [0x4a, 4],
  [0x47, 8],
  [0x71, 1],
  [0x72, 4],
  [0x68, 1],
  [0x6a, 4],
  [0x95, 8],
]);

/** Opcodes with a length of so many bytes before their argument. */
const counted: ReadonlyMap<number, number> = new Map([
  [0x58, 4],
  [0x54, 4],
  [0x42, 4],
  [0x8b, 4],
  [0x8c, 1],
  [0x55, 1],
  [0x43, 1],
  [0x8a, 1],
  [0x8d, 8],
]);

/** Opcodes whose arguments are so many lines. */
const lines: ReadonlyMap<number, number> = new Map([
  [0x63, 2],
  [0x49, 1],
  [0x4c, 1],
  [0x46, 1],
  [0x53, 1],
  [0x56, 1],
]);

function argumentBytes(bytes: Uint8Array, at: number): number {
  const opcode = bytes[at] ?? 0;
  const width = counted.get(opcode);
  if (width !== undefined) {
    const length = bytes.slice(at + 1, at + 1 + width).reduceRight((sum, byte) => sum * 256 + byte, 0);
    return width + Math.min(length, bytes.length);
  }
  let end = at + 1;
  for (let line = 0; line < (lines.get(opcode) ?? 0); line++) {
    const found = bytes.indexOf(0x0a, end);
    end = found < 0 ? bytes.length : found + 1;
  }
  return (fixed.get(opcode) ?? 0) + end - at - 1;
}
