/**
 * The product of two low-rank factors, four numbers at a time. Merging a LoRA of rank 128 into SDXL takes 3·10¹¹
 * multiplications; a loop over typed arrays does 1.5·10⁹ of them per second, WebAssembly's vector instructions 15·10⁹.
 * The kernel below is the usual one of matrix libraries: a tile of 4 × 8 sums stays in registers during the loop over
 * the rank, and both factors are laid out in the order in which it reads them. It is assembled here, instruction by
 * instruction (https://webassembly.github.io/spec/core/binary/), so that the code that runs can be read.
 */

/** Rows and columns of the tile that stays in registers; the factors are padded to multiples of these. */
export const TILE_ROWS = 4;
export const TILE_COLUMNS = 8;

/**
 * Multiplies: `out` (rows × columns) = up · down, float32. `out`, `up` and `down` are byte addresses; `up` holds tiles
 * of [rank][4 rows], `down` panels of [rank][8 columns]; `tiles` is rows / 4, `rowBytes` columns · 4.
 */
type Product = (out: number, up: number, down: number, tiles: number, rowBytes: number, rank: number) => void;

/** A memory, and the function that multiplies the factors in it. */
export interface ProductInstance {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly product: Product;
}

/** The part of WebAssembly's types used here: only the types of browsers have them, not Node's. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
};

/** A new instance with a memory of its own. */
export function instantiateProduct(): ProductInstance {
  compiled ??= new WebAssembly.Module(Uint8Array.from(assemble()));
  // as: these are the two exports that `assemble` writes.
  return new WebAssembly.Instance(compiled).exports as ProductInstance;
}

let compiled: object | undefined;

/** Indexes of the locals: six parameters, six integers, eight sums, two vectors of `down`. */
const [out, up, down, tiles, rowBytes, rank] = [0, 1, 2, 3, 4, 5];
const [column, tile, a, d, term, target] = [6, 7, 8, 9, 10, 11];
const sums = [12, 13, 14, 15, 16, 17, 18, 19];
const [left, right] = [20, 21];

const get = (local: number) => [0x20, local];
const set = (local: number, ...value: number[]) => [...value, 0x21, local];
const constant = (value: number) => [0x41, value]; // one byte holds −64 to 63
const add = (...operands: number[]) => [...operands, 0x6a];
const advance = (local: number, ...by: number[]) => set(local, ...add(...get(local), ...by));
/** Repeats the body until the number that it leaves on the stack is 0. */
const loop = (...body: number[]) => [0x03, 0x40, ...body, 0x0d, 0, 0x0b];
const countDown = (local: number) => [...advance(local, ...constant(-1 & 0x7f)), ...get(local)];

const loadVector = (at: number, offset: number) => [...get(at), 0xfd, 0x00, 0, offset];
const loadSplat = (at: number, offset: number) => [...get(at), 0xfd, 0x09, 0, offset];
const storeVector = (at: number, offset: number, value: number) => [
  ...get(at),
  ...get(value),
  ...[0xfd, 0x0b, 0, offset],
];
const zeroVector = [0xfd, 0x0c, ...Array<number>(16).fill(0)];
const multiplyVectors = [0xfd, 0xe6, 0x01];
const addVectors = [0xfd, 0xe4, 0x01];

function body(): number[] {
  const accumulate = sums.flatMap((sum, i) =>
    set(
      sum,
      ...get(sum),
      ...[...loadSplat(a, 4 * (i >> 1)), ...get(i & 1 ? right : left), ...multiplyVectors],
      ...addVectors,
    ),
  );
  const overTerms = loop(
    ...[...set(left, ...loadVector(d, 0)), ...set(right, ...loadVector(d, 16))],
    ...accumulate,
    ...[...advance(a, ...constant(4 * TILE_ROWS)), ...advance(d, ...constant(4 * TILE_COLUMNS))],
    ...countDown(term),
  );
  const storeTile = [0, 2, 4, 6].flatMap((i) => [
    ...[...storeVector(target, 0, 12 + i), ...storeVector(target, 16, 13 + i)],
    ...advance(target, ...get(rowBytes)),
  ]);
  const overTiles = loop(
    ...sums.flatMap((sum) => set(sum, ...zeroVector)),
    ...[...set(d, ...get(down)), ...set(term, ...get(rank))],
    ...[...overTerms, ...storeTile],
    ...countDown(tile),
  );
  const overColumns = loop(
    ...[...set(a, ...get(up)), ...set(tile, ...get(tiles))],
    ...set(target, ...add(...get(out), ...get(column))),
    ...overTiles,
    ...set(down, ...get(d)),
    ...advance(column, ...constant(4 * TILE_COLUMNS)),
    ...[...get(column), ...get(rowBytes), 0x49], // column < rowBytes
  );
  return [...overColumns, 0x0b];
}

/** Assembles the module: one function and one memory, both exported. */
function assemble(): number[] {
  const [i32, v128] = [0x7f, 0x7b];
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const section = (id: number, ...bytes: number[]) => [id, ...size(bytes), ...bytes];
  const code = [2, 6, i32, 10, v128, ...body()];
  return [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 6, ...Array<number>(6).fill(i32), 0), // a type: six integers to nothing
    ...section(3, 1, 0), // a function of it
    ...section(5, 1, 0, 1), // a memory of one page at first
    ...section(7, 2, ...name('product'), 0, 0, ...name('memory'), 2, 0),
    ...section(10, 1, ...size(code), ...code),
  ];
}

/** Encodes the number of bytes in LEB128. */
function size({ length }: readonly number[]): number[] {
  return [(length & 0x7f) | 0x80, length >> 7];
}
