import type { Operation, Program } from './program.ts';
import { decoders } from './to-onnx/decode-constant.ts';
import { computations } from './to-onnx/onnx-computations.ts';
import { movements } from './to-onnx/onnx-movements.ts';

/** What holds operations together, and the reduction that stands in decompositions alone: all that the writer has beside the tables. */
const structure = ['dataflow.invoke_v1', 'dataflow.yield_v1', 'primitive.constant_v1', 'primitive.reduce_v1'];

/** Operations that were seen in programs of Apple's tools, and are not computed here. */
const others = [
  'primitive.conv_transpose2d_v1',
  'primitive.expand_dims_v1',
  'primitive.gather_along_axis_v1',
  'primitive.tile_v1',
];

/** Names of the operations that are known, as they are stored. */
const known: ReadonlySet<string> = new Set([
  ...structure,
  ...others,
  ...[computations, movements, decoders].flatMap((table) => Object.keys(table)),
]);

/**
 * The names of operations that are not known here, each once, those in the bodies of others too. A runtime loads nothing of a
 * program in which it does not know one.
 */
export function unknownOperations({ graphs }: Program): string[] {
  const found = new Set<string>();
  const look = (operations: readonly Operation[]): void => {
    for (const { name, regions } of operations) {
      if (!known.has(name)) found.add(name);
      for (const region of regions) look(region.operations);
    }
  };
  for (const { operations } of graphs) look(operations);
  return [...found];
}
