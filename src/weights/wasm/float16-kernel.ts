import {
  advance,
  type Code,
  compile,
  constant,
  countDown,
  get,
  i32x4,
  type Locals,
  loop,
  set,
  v128,
  type WasmFunction,
  wasmFunction,
} from './assembler.ts';
import { rounded, widened } from './float16-code.ts';

/** Numbers that are converted at a time: with their codes they fit a core's first cache. */
const PIECE = 4096;

/** Where codes are in the memory; the numbers are at its beginning. */
const CODES_AT = 4 * PIECE;

/** A loop over as many numbers and codes as the parameter says, so many at a time. */
function overNumbers(
  name: string,
  step: number,
  body: (locals: Locals, number: Code, code: Code) => Code,
): WasmFunction {
  return wasmFunction(name, ['i32'], (locals) => {
    const [count, number, code] = [0, locals.add('i32'), locals.add('i32')];
    return [
      ...[...set(number, constant(0)), ...set(code, constant(CODES_AT))],
      ...loop(
        body(locals, get(number), get(code)),
        ...[advance(number, constant(4 * step)), advance(code, constant(2 * step)), countDown(count, step)],
      ),
    ];
  });
}

const functions: readonly WasmFunction[] = [
  overNumbers('widen', 4, (locals, number, code) => v128.store(number, widened(locals, v128.load16x4(code)))),
  overNumbers('round', 8, (locals, number, code) => {
    const [low, high] = [v128.load(number), v128.load(number, 16)];
    return v128.store(code, i32x4.narrow(rounded(locals, low), rounded(locals, high)));
  }),
];

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Converts so many of the codes to numbers, or of the numbers to codes, and up to seven that follow. */
  widen(count: number): void;
  round(count: number): void;
}

interface Views extends Kernel {
  readonly numbers: Float32Array;
  readonly codes: Uint16Array;
}

/** Converts float16 codes to float32 numbers; every NaN becomes the usual one. */
export function widenFloat16(codes: Uint16Array, numbers: Float32Array): void {
  const kernel = instance();
  for (let at = 0; at < codes.length; at += PIECE) {
    const piece = codes.subarray(at, at + PIECE);
    kernel.codes.set(piece);
    kernel.widen(piece.length);
    numbers.set(kernel.numbers.subarray(0, piece.length), at);
  }
}

/** Converts float32 numbers to the nearest float16 codes; ties go to the even one, and NaNs become 0x7e00 with their sign. */
export function roundToFloat16(numbers: Float32Array, codes: Uint16Array): void {
  const kernel = instance();
  for (let at = 0; at < numbers.length; at += PIECE) {
    const piece = numbers.subarray(at, at + PIECE);
    kernel.numbers.set(piece);
    kernel.round(piece.length);
    codes.set(kernel.codes.subarray(0, piece.length), at);
  }
}

let made: Views | undefined;

function instance(): Views {
  if (made) return made;
  const kernel = compile<Kernel>(functions, 1)();
  const { buffer } = kernel.memory;
  made = {
    ...kernel,
    numbers: new Float32Array(buffer, 0, PIECE),
    codes: new Uint16Array(buffer, CODES_AT, PIECE),
  };
  return made;
}
