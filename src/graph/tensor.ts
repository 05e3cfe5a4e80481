import type { DType } from '../weights/dtype.ts';
import type { GraphBuilder } from './graph.ts';
import type { Op } from './op.ts';
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
  readonly builder: GraphBuilder;
}

/** Shape and dtype of a value. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}
