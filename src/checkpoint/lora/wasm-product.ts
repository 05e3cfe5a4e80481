import {
  add,
  advance,
  type Code,
  compile,
  constant,
  countDown,
  f32x4,
  get,
  type Locals,
  lessThan,
  loop,
  set,
  v128,
  wasmFunction,
} from '../../weights/wasm/assembler.ts';

/**
 * The product of two low-rank factors, four numbers at a time. Merging a LoRA of rank 128 into SDXL takes 3·10¹¹
 * multiplications; a loop over typed arrays does 1.5·10⁹ of them per second, WebAssembly's vector instructions 15·10⁹.
 * The kernel below is the usual one of matrix libraries: a tile of 4 × 8 sums stays in registers during the loop over
 * the rank, and both factors are laid out in the order in which it reads them.
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

/** A new instance with a memory of its own. */
export function instantiateProduct(): ProductInstance {
  instantiate ??= compile<ProductInstance>([wasmFunction('product', Array(6).fill('i32'), body)], 1);
  return instantiate();
}

let instantiate: (() => ProductInstance) | undefined;

/** The parameters. */
const [out, up, down, tiles, rowBytes, rank] = [0, 1, 2, 3, 4, 5];

function body(locals: Locals): Code {
  const [column, tile, a, d] = [locals.add('i32'), locals.add('i32'), locals.add('i32'), locals.add('i32')];
  const [term, target] = [locals.add('i32'), locals.add('i32')];
  const sums = Array.from({ length: 8 }, () => locals.add('v128'));
  const [left, right] = [locals.add('v128'), locals.add('v128')];
  const accumulate = sums.map((sum, i) => {
    const factor = v128.loadSplat(get(a), 4 * (i >> 1));
    return set(sum, f32x4.add(get(sum), f32x4.mul(factor, get(i & 1 ? right : left))));
  });
  const overTerms = loop(
    ...[set(left, v128.load(get(d))), set(right, v128.load(get(d), 16))],
    ...accumulate,
    ...[advance(a, constant(4 * TILE_ROWS)), advance(d, constant(4 * TILE_COLUMNS))],
    countDown(term, 1),
  );
  const storeTile = sums.flatMap((sum, i) => [
    v128.store(get(target), get(sum), i & 1 ? 16 : 0),
    ...(i & 1 ? [advance(target, get(rowBytes))] : []),
  ]);
  const overTiles = loop(
    ...sums.map((sum) => set(sum, v128.zero)),
    ...[set(d, get(down)), set(term, get(rank))],
    ...[overTerms, ...storeTile],
    countDown(tile, 1),
  );
  return loop(
    ...[set(a, get(up)), set(tile, get(tiles))],
    set(target, add(get(out), get(column))),
    overTiles,
    set(down, get(d)),
    advance(column, constant(4 * TILE_COLUMNS)),
    lessThan(get(column), get(rowBytes)),
  );
}
