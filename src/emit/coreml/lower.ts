import type { OpKind, OpOf } from '../../graph/op.ts';
import { dimAt, fixedDimAt } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { toMilDType } from './mil-dtype.ts';
import { bool, filled, fraction, int32, int32s, text } from './mil-value.ts';
import type { MilWriter, Result } from './mil-writer.ts';

/** Writes the operations that compute `result`; `inputs` are the names of the values that `tensor` reads. */
type Lowering<K extends OpKind> = (
  write: MilWriter,
  result: Result,
  op: OpOf<K>,
  inputs: readonly string[],
  tensor: Tensor,
) => void;

/**
 * One lowering an operation, in MIL's operations of iOS 16 and what iOS 17 and 18 made of them. Core ML's parser knows no
 * default values: every parameter that has one is written.
 */
const lowerings: { readonly [K in OpKind]: Lowering<K> } = {
  input() {},

  weight(write, result, { weight }, _, { name, dtype }) {
    const byteLength = elementCount(result.shape)
  },
};
