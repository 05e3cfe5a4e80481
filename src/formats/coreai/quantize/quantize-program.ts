import { withEqualGroups } from '../../../quantize/equal-groups.ts';
import { FEWEST_ELEMENTS, type QuantizationPlan } from '../../../quantize/plan.ts';
import type { QuantizedWeight } from '../../../quantize/quantized-weight.ts';
import { elementCount } from '../../../weights/dtype.ts';
import type { FixedType } from '../lower/operation-writer.ts';
import type { Operation, Program, ProgramGraph, TensorType } from '../program.ts';
import { compressedForm, type ProgramWeight } from './compressed-forms.ts';
import { weightUses } from './weight-uses.ts';

/** A program with quantised weights; they are read when it is written. */
export interface QuantizedProgram {
  readonly program: Program;
  readonly weights: readonly QuantizedWeight[];
}

/**
 * Quantises the weights of a program that a plan names. Weights that are compressed already and everything else stay as they
 * are. Throws `RequestError` for forms that Core AI lacks.
 */
export function quantizeProgram(program: Program, plan: QuantizationPlan): QuantizedProgram {
  const weights: QuantizedWeight[] = [];
  const graphs = program.graphs.map((graph): ProgramGraph => {
    const uses = weightUses(graph);
    const operations = graph.operations.flatMap((operation): readonly Operation[] => {
      const weight = weightOf(operation, uses);
      const quantized = weight && quantizeWeight(weight, plan);
      if (!quantized) return [operation];
      weights.push(quantized.report);
      return quantized.operations;
    });
    return { ...graph, operations };
  });
  return { program: { ...program, graphs }, weights };
}

/** The weight that an operation gives, if it can be quantised. */
function weightOf(
  { properties: [stored], results: [value] }: Operation,
  uses: ReturnType<typeof weightUses>,
): ProgramWeight | undefined {
  const use = value && uses.get(value);
  if (!use || stored?.kind !== 'resource') return undefined;
  const { type } = value;
  const { element: dtype } = type;
  if ((dtype !== 'f16' && dtype !== 'f32') || !isFixed(type)) return undefined;
  const { shape } = type;
  if (shape.length < 2 || elementCount(shape) <= FEWEST_ELEMENTS) return undefined;
  const { tensor } = stored;
  return { name: tensor.name, shape, ...use, dtype, tensor: { ...tensor, dtype, shape }, value };
}

function isFixed(type: TensorType): type is FixedType {
  return type.shape.every((size) => size !== undefined);
}

/** Makes the operations that replace a weight; `undefined` where it is to stay or would not shrink. */
function quantizeWeight(
  weight: ProgramWeight,
  plan: QuantizationPlan,
): { readonly operations: readonly Operation[]; readonly report: QuantizedWeight } | undefined {
  const asked = plan(weight);
  if (!asked) return undefined;
  const { form, undivided } = withEqualGroups(asked, weight);
  const { operations, byteLength: bytesAfter, error } = compressedForm(weight, form);
  const { name, shape, tensor } = weight;
  const bytesBefore = tensor.byteLength;
  if (bytesAfter >= bytesBefore) return undefined;
  return { operations, report: { name, shape, form, undivided, bytesBefore, bytesAfter, error } };
}
