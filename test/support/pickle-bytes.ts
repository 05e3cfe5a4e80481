/** Pickles written by hand: each function gives the bytes of one or a few instructions (protocol 2 and later). */
type Bytes = readonly number[];

export function pickle(...parts: readonly Bytes[]): Uint8Array {
  return Uint8Array.from([0x80, 2, ...parts.flat(), 0x2e]);
}

export const MARK: Bytes = [0x28];
export const TUPLE: Bytes = [0x74];
export const EMPTY_TUPLE: Bytes = [0x29];
export const EMPTY_LIST: Bytes = [0x5d];
export const APPEND: Bytes = [0x61];
export const EMPTY_DICT: Bytes = [0x7d];
export const SETITEM: Bytes = [0x73];
export const SETITEMS: Bytes = [0x75];
export const REDUCE: Bytes = [0x52];
export const BUILD: Bytes = [0x62];
export const NONE: Bytes = [0x4e];
export const FALSE: Bytes = [0x89];
export const BINPERSID: Bytes = [0x51];

export function text(value: string): Bytes {
  const bytes = new TextEncoder().encode(value);
  return [0x58, ...uint32(bytes.length), ...bytes];
}

export function integer(value: number): Bytes {
  return [0x4a, ...uint32(value)];
}

export function global(module: string, name: string): Bytes {
  return [0x63, ...new TextEncoder().encode(`${module}\n${name}\n`)];
}

export function stackGlobal(module: string, name: string): Bytes {
  return [...text(module), ...text(name), 0x93];
}

export function tuple(...items: readonly Bytes[]): Bytes {
  return [...MARK, ...items.flat(), ...TUPLE];
}

export function keep(index: number): Bytes {
  return [0x71, index];
}

export function recall(index: number): Bytes {
  return [0x68, index];
}

export interface TensorInstructions {
  readonly storage?: string;
  readonly key?: string;
  /** Elements of the storage. */
  readonly elements?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
  /** The dtype of a tensor over bytes, as torch writes 8-bit floats (_rebuild_tensor_v3). */
  readonly dtype?: string;
}

/** A tensor as torch.save writes it: of 6 float32s unless told otherwise. */
export function tensor(options: TensorInstructions = {}): Bytes {
  const { storage = 'FloatStorage', key = '0', elements = 6, dtype } = options;
  const { offset = 0, shape = [2, 3], strides = [3, 1] } = options;
  const type = dtype ? global('torch.storage', 'UntypedStorage') : global('torch', storage);
  const id = tuple(text('storage'), type, text(key), text('cpu'), integer(elements), NONE);
  return [
    ...global('torch._utils', dtype ? '_rebuild_tensor_v3' : '_rebuild_tensor_v2'),
    ...tuple(
      [...id, ...BINPERSID],
      integer(offset),
      tuple(...shape.map(integer)),
      tuple(...strides.map(integer)),
      FALSE,
      [...global('collections', 'OrderedDict'), ...EMPTY_TUPLE, ...REDUCE],
      dtype ? global('torch', dtype) : [],
    ),
    ...REDUCE,
  ];
}

/** A dict of one tensor named `w`. */
export function stateDict(options?: TensorInstructions): Uint8Array {
  return pickle(EMPTY_DICT, text('w'), tensor(options), SETITEM);
}

function uint32(value: number): Bytes {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255];
}
