import type { TensorStream } from '../../weights/tensor-stream.ts';

/**
 * A Core AI program in memory: what `main.mlirb` says, without the bytes. `bytecode/` encodes and decodes it; `lower/` makes
 * one of a graph. Values, types and attributes are plain objects; a value is identified by its object, and is defined once: as
 * an input of a graph, an argument of a region, or a result of an operation.
 */
export interface Program {
  /** The date, as the number yyyymmdd, of the set of operations that it is written in. */
  readonly stamp: number;
  /** Public graphs are the asset's functions; private ones are invoked by others. */
  readonly graphs: readonly ProgramGraph[];
}

/** A function of a program. */
export interface ProgramGraph {
  /** Unique within the program. */
  readonly name: string;
  /** Whether clients can call it. */
  readonly isPublic: boolean;
  /** What a private graph computes, for back ends that have a kernel of their own for it. */
  readonly declaration?: Declaration | undefined;
  /** In the order in which callers give them; those of private graphs need no name. */
  readonly inputs: readonly Port[];
  /** In the order in which callers get them; those of private graphs need no name. */
  readonly outputs: readonly Port[];
  readonly operations: readonly Operation[];
}

/** An input or output of a graph. */
export interface Port {
  readonly name?: string | undefined;
  readonly value: Value;
}

/** Declaration of a graph as an operation that back ends know, such as `group_norm`. */
export interface Declaration {
  readonly name: string;
  readonly inputNames: readonly string[];
  /** By name, sorted. */
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputNames: readonly string[];
}

/** A tensor that exists while a program runs. */
export interface Value {
  readonly type: TensorType;
}

/** One operation; which operands and properties it has is said by its name. */
export interface Operation {
  /** As it is stored, with its version: `primitive.conv2d_v1`. */
  readonly name: string;
  readonly operands: readonly Value[];
  readonly results: readonly Value[];
  /** In the order in which they are stored; `undefined` for one that is left out. */
  readonly properties: readonly (Attribute | undefined)[];
  /** One for a composite operation: its decomposition. A region sees nothing from outside of it. */
  readonly regions: readonly Region[];
}

/** Operations of their own, between arguments and what the last of them (a yield) takes. */
export interface Region {
  readonly arguments: readonly Value[];
  readonly operations: readonly Operation[];
}

/** The element types of tensors. */
export const elements = [
  ...(['bool', 'f64', 'f32', 'f16', 'bf16', 'f8e5m2', 'f8e4m3', 'f8e8m0', 'f4e2m1', 'c128', 'c64'] as const),
  ...(['i64', 'i32', 'i16', 'i8', 'i4', 'i2'] as const),
  ...(['u64', 'u32', 'u16', 'u8', 'u6', 'u4', 'u3', 'u2', 'u1'] as const),
];

/** Element type of a tensor. */
export type Element = (typeof elements)[number];

export interface TensorType {
  readonly kind: 'tensor';
  readonly element: Element;
  /** Sizes, outermost first; `undefined` for a free one. */
  readonly shape: readonly (number | undefined)[];
}

export interface FunctionType {
  readonly kind: 'function';
  readonly inputs: readonly Type[];
  readonly results: readonly Type[];
}

/** Type of a reference to a graph. */
export interface SymbolType {
  readonly kind: 'symbol';
}

export type Type = TensorType | FunctionType | SymbolType;

/** A constant fact of an operation. */
export type Attribute =
  | { readonly kind: 'string'; readonly text: string }
  /** A whole number; truths are integers of one bit. */
  | {
      readonly kind: 'integer';
      readonly width: number;
      readonly unsigned: boolean;
      readonly value: bigint;
    }
  /** A fraction of 16, 32 or 64 bits. */
  | { readonly kind: 'float'; readonly width: number; readonly value: number }
  | { readonly kind: 'type'; readonly type: Type }
  | { readonly kind: 'array'; readonly items: readonly Attribute[] }
  /**
   * Small numbers, in little-endian row-major order; of elements below 8 bits, one a byte. With `splat`, one element that
   * stands for all. The type of the constant says what they are.
   */
  | { readonly kind: 'tensor'; readonly bytes: Uint8Array; readonly splat: boolean }
  /** Numbers that lie between the program's parts and stream; elements below 8 bits are packed, lowest bits first. */
  | { readonly kind: 'resource'; readonly tensor: TensorStream }
  | { readonly kind: 'named'; readonly name: string; readonly values: readonly Attribute[] }
  /** The name of a graph. */
  | { readonly kind: 'symbol'; readonly path: readonly string[] }
  | { readonly kind: 'parameter'; readonly value: Attribute; readonly type: Type }
  | { readonly kind: 'choice'; readonly of: Choice; readonly value: number }
  | { readonly kind: 'dictionary'; readonly items: readonly Attribute[] }
  | { readonly kind: 'unit' };

/** Ways of which an operation has one: padding (1 constant, 2 reflect), GELU (0 exact, 1 tanh), interpolation (0 linear, 1 nearest). */
export type Choice = 'padding' | 'gelu' | 'interpolation';
