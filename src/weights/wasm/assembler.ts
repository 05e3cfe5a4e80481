/**
 * WebAssembly, written instruction by instruction (https://webassembly.github.io/spec/core/binary/), so that the code that runs can be
 * read. Its vector instructions do four numbers at a time, which loops over typed arrays do one by one.
 */

/** Instructions as bytes; each function below gives those of a value, with its operands' before. */
export type Code = readonly number[];

/** A function of a module. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly WasmType[];
  readonly locals: readonly WasmType[];
  readonly body: Code;
}

const types = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
export type WasmType = keyof typeof types;

export const get = (local: number): Code => [0x20, local];
export const set = (local: number, value: Code): Code => [...value, 0x21, local];
/** Sets a local, and is its value. */
const tee = (local: number, value: Code): Code => [...value, 0x22, local];
export const constant = (value: number): Code => [0x41, ...signed(value)];
export const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
export const lessThan = (a: Code, b: Code): Code => [...a, ...b, 0x49];
export const advance = (local: number, by: Code): Code => set(local, add(get(local), by));
/** Repeats the body until the number that it leaves on the stack is 0. */
export const loop = (...body: readonly Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0d, 0, 0x0b];
/** Subtracts from a local what was done; is 1 while something is left. */
export const countDown = (local: number, by: number): Code => [
  ...tee(local, add(get(local), constant(-by))),
  ...[...constant(0), 0x4a],
];

/** Locals of a function, numbered as they are asked for, after its parameters. */
export class Locals {
  readonly types: WasmType[] = [];
  readonly #parameters: number;
  readonly #kept = new Map<string, { readonly local: number; readonly value: Code }>();

  constructor(parameters: number) {
    this.#parameters = parameters;
  }

  add(type: WasmType): number {
    return this.#parameters + this.types.push(type) - 1;
  }

  /** A vector that is the same all the time. It is computed once, before the body, and stays in a register. */
  keep(value: Code): Code {
    const key = value.join();
    const { local } = this.#kept.get(key) ?? { local: this.add('v128') };
    this.#kept.set(key, { local, value });
    return get(local);
  }

  /** Computes what is kept. */
  get prologue(): Code {
    return [...this.#kept.values()].flatMap(({ local, value }) => set(local, value));
  }
}

/** A function whose body is made with locals; its parameters are the first ones. */
export function wasmFunction(
  name: string,
  parameters: readonly WasmType[],
  body: (locals: Locals) => Code,
): WasmFunction {
  const locals = new Locals(parameters.length);
  const code = body(locals);
  return { name, parameters, locals: locals.types, body: [...locals.prologue, ...code] };
}

/** A vector instruction without immediate operands. */
const vector =
  (opcode: number) =>
  (...operands: readonly Code[]): Code => [...operands.flat(), 0xfd, ...unsigned(opcode)];

/** Vector instructions by their names in the specification; `f32x4` and so on are the operands' kind. */
export const v128 = {
  load: (address: Code, offset = 0): Code => [...address, 0xfd, 0x00, 0, ...unsigned(offset)],
  /** Four 16-bit numbers as 32-bit ones. */
  load16x4: (address: Code, offset = 0): Code => [...address, 0xfd, 0x04, 0, ...unsigned(offset)],
  /** Two 32-bit numbers; zeros follow. */
  load64: (address: Code, offset = 0): Code => [...address, 0xfd, 0x5d, 0, ...unsigned(offset)],
  loadSplat: (address: Code, offset = 0): Code => [...address, 0xfd, 0x09, 0, ...unsigned(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...[...address, ...value],
    ...[0xfd, 0x0b, 0, ...unsigned(offset)],
  ],
  /** Stores the lowest 4 or 8 bytes of a vector. */
  storeLow: (bytes: 4 | 8, address: Code, value: Code, offset = 0): Code => [
    ...[...address, ...value],
    ...[0xfd, bytes === 4 ? 0x5a : 0x5b, 0, ...unsigned(offset), 0],
  ],
  zero: [0xfd, 0x0c, ...Array<number>(16).fill(0)] as Code,
  /** The bytes of two vectors that 16 indices choose. */
  shuffle: (a: Code, b: Code, indices: readonly number[]): Code => [...a, ...b, 0xfd, 0x0d, ...indices],
  and: vector(0x4e),
  or: vector(0x50),
  xor: vector(0x51),
  /** Where bits of the third are 1 those of the first, else those of the second. */
  bitselect: vector(0x52),
};

export const i32x4 = {
  splat: (value: number): Code => vector(0x11)(constant(value | 0)),
  shl: (a: Code, bits: number): Code => vector(0xab)(a, constant(bits)),
  shrS: (a: Code, bits: number): Code => vector(0xac)(a, constant(bits)),
  shrU: (a: Code, bits: number): Code => vector(0xad)(a, constant(bits)),
  add: vector(0xae),
  sub: vector(0xb1),
  gtS: vector(0x3b),
  maxS: vector(0xb8),
  /** The numbers of two vectors as 16-bit ones, the nearest where they are no such. */
  narrow: vector(0x86),
  extractLane: (a: Code, lane: number): Code => [...a, 0xfd, 0x1b, lane],
};

/** The 16-bit numbers of two vectors as bytes, the nearest where they are no such. */
export const narrowToBytes = vector(0x66);

export const f32x4 = {
  splat: vector(0x13),
  ne: vector(0x42),
  add: vector(0xe4),
  sub: vector(0xe5),
  mul: vector(0xe6),
  /** The smaller and the larger number; the first where one is NaN. */
  pmin: vector(0xea),
  pmax: vector(0xeb),
  /** The lower two numbers. */
  promoteLow: vector(0x5f),
};

export const f64x2 = {
  splat: (value: number): Code => vector(0x14)([0x44, ...new Uint8Array(Float64Array.of(value).buffer)]),
  add: vector(0xf0),
  sub: vector(0xf1),
  mul: vector(0xf2),
  div: vector(0xf3),
  floor: vector(0x75),
  /** Two float64 numbers as float32 ones, after which come two zeros. */
  demote: vector(0x5e),
};

/** The part of WebAssembly's types used here: only the types of browsers have them, not Node's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

/**
 * Compiles functions and a memory of so many pages of 64 KiB; gives what makes instances. `Exports` must have each function by its
 * name, and `memory`.
 */
export function compile<Exports extends object>(
  functions: readonly WasmFunction[],
  pages: number,
): () => Exports {
  const module = new WebAssembly.Module(Uint8Array.from(moduleOf(functions, pages)));
  // as: the caller says what it exports.
  return () => new WebAssembly.Instance(module).exports as Exports;
}

function moduleOf(functions: readonly WasmFunction[], pages: number): number[] {
  const list = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
  const section = (id: number, content: Code): Code => [id, ...sized(content)];
  const name = (text: string): Code => sized([...new TextEncoder().encode(text)]);
  return [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      list(functions.map(({ parameters }) => [0x60, ...list(parameters.map((type) => [types[type]])), 0])),
    ),
    ...section(3, list(functions.map((_, at) => [at]))),
    ...section(5, [1, 0, ...unsigned(pages)]),
    ...section(
      7,
      list([...functions.map((each, at): Code => [...name(each.name), 0, at]), [...name('memory'), 2, 0]]),
    ),
    ...section(
      10,
      list(
        functions.map(({ locals, body }) =>
          sized([...list(locals.map((type) => [1, types[type]])), ...body, 0x0b]),
        ),
      ),
    ),
  ];
}

function sized(content: Code): Code {
  return [...unsigned(content.length), ...content];
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
