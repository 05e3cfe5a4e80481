import type { DType } from '../weights/dtype.ts';
import type { ComputedOp, ConstantData, Op } from './op.ts';
import type { Shape } from './shape.ts';

/** A value in the graph, and the one operation that makes it. */
export interface Tensor {
  /** Unique within its graph, e.g. `down_blocks.0.resnets.0.conv1` or `down_blocks.0.resnets.0.norm1/silu`. */
  readonly name: string;
  readonly op: Op;
  readonly inputs: readonly Tensor[];
  readonly dtype: DType;
  readonly shape: Shape;
  /** The builder that made it; operations on the tensor are recorded there. */
  readonly builder: Recorder;
}

/** Recorder of the operations on its tensors: the `GraphBuilder`. */
export interface Recorder {
  /** Numbers written into the graph: [n] or `shape`. */
  constant(data: ConstantData, shape: Shape, name?: string, dtype?: DType): Tensor;
  /** The result of an operation. Throws `ShapeError` when the inputs do not fit. */
  apply(op: ComputedOp, inputs: readonly Tensor[], name?: string): Tensor;
}

/** Shape and dtype of a value. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}
