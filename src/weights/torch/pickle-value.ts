import type { DType } from '../dtype.ts';

/**
 * Everything that a pickle can become here. There are no objects with behaviour among it, and dicts are Maps: a key named
 * `__proto__` is a key like any other.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[] // lists and tuples
  | Map<PickleValue, PickleValue>
  | PickleGlobal
  | PickledStorage
  | PickledTensor
  | Inert;

/** A Python name of the closed table in torch-globals.ts. */
export interface PickleGlobal {
  readonly kind: 'global';
  /** `torch.FloatStorage`. */
  readonly name: string;
  /** Result of a call; `undefined` for arguments it does not take. Names without `make` cannot be called. */
  readonly make?: (args: readonly PickleValue[]) => PickleValue | undefined;
  /** Whether it stands for a class that nobody knows: an object of it is a tag, and to call it is refused. */
  readonly isUnknown?: true;
  /** The element type that it names: `torch.FloatStorage` and `torch.float32` name f32. */
  readonly dtype?: DType;
}

/** A block of numbers beside the pickle, by the key that the file gives it. */
export interface PickledStorage {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: DType;
  readonly elements: number;
}

/** A tensor as the file describes it; `offset`, `shape` and `strides` count elements, and are not checked yet. */
export interface PickledTensor {
  readonly kind: 'tensor';
  readonly storage: PickledStorage;
  readonly dtype: DType;
  readonly offset: PickleValue;
  readonly shape: readonly PickleValue[];
  readonly strides: readonly PickleValue[];
}

/** Stands for an object that weights can do without (a callback, a NumPy number): its class, and nothing of its state. */
export interface Inert {
  readonly kind: 'inert';
  readonly name: string;
}

type PickledObject = PickleGlobal | PickledStorage | PickledTensor | Inert;

/** Whether a value is a Python name. */
export function isGlobal(value: PickleValue | undefined): value is PickleGlobal {
  return isOf('global', value);
}

/** Whether a value is a storage. */
export function isStorage(value: PickleValue | undefined): value is PickledStorage {
  return isOf('storage', value);
}

/** Whether a value is a tensor. */
export function isTensor(value: PickleValue | undefined): value is PickledTensor {
  return isOf('tensor', value);
}

/** Whether a value stands for an object that is not needed. */
export function isInert(value: PickleValue | undefined): value is Inert {
  return isOf('inert', value);
}

function isOf(kind: PickledObject['kind'], value: PickleValue | undefined): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind;
}
