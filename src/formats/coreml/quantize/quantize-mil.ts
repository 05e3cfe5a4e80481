import { type FittedForm, withEqualGroups } from '../../../quantize/equal-groups.ts';
import { FEWEST_ELEMENTS, type QuantizationPlan } from '../../../quantize/plan.ts';
import type { QuantizedWeight } from '../../../quantize/quantized-weight.ts';
import { elementCount } from '../../../weights/dtype.ts';
import { MilNames } from '../mil/mil-names.ts';
import { iosOfOpset } from '../mil/mil-opset.ts';
import {
  blockConstants,
  immediateElements,
  operationValues,
  parameterValue,
  tensorTypeOf,
  withBlocks,
} from '../mil/mil-program.ts';
import type { Block, Model, Operation, Value } from '../mil/mil-schema.ts';
import { compressedForm, type MilWeight } from './compressed-forms.ts';

/** A planned model with quantised weights; they are read when it is written. */
export interface QuantizedMil {
  readonly model: Model;
  readonly weights: readonly QuantizedWeight[];
}

/**
 * Quantises the weights of an ML Program that a plan names, under their own names. Already compressed weights and everything
 * else stay byte for byte. `name` is the model's name for errors. Throws `RequestError` for forms that the program's version
 * of iOS lacks.
 */
export function quantizeMil(model: Model, name: string, plan: QuantizationPlan): QuantizedMil {
  if (!model.mlProgram) throw new Error(`${name} has no program`);
  const weights: QuantizedWeight[] = [];
  const names = new MilNames();
  const mlProgram = withBlocks(model.mlProgram, (block, { opset }) => {
    for (const { outputs } of block.operations) for (const output of outputs) names.claim(output.name);
    const roles = weightRoles(block);
    const operations = block.operations.flatMap((operation) => {
      const weight = weightOf(operation, roles, names);
      const quantized = weight && quantizeWeight(weight, plan, iosOfOpset(opset) ?? 0);
      if (!quantized) return operation;
      weights.push(quantized.report);
      return quantized.operations;
    });
    return { ...block, operations };
  });
  return { model: { ...model, mlProgram }, weights };
}

/** Returns the weight of a `const` operation, if it can be quantised. */
function weightOf(
  { type, outputs, attributes: { val } }: Operation,
  roles: Roles,
  names: MilNames,
): MilWeight | undefined {
  const name = outputs[0]?.name ?? '';
  const role = roles.get(name);
  const tensor = tensorTypeOf(val?.type ?? null);
  const shape = tensor?.shape.filter((size) => size !== undefined) ?? [];
  if (type !== 'const' || !role || !val?.streamedValue || shape.length < 2) return undefined;
  if ((tensor?.dtype !== 'fp16' && tensor?.dtype !== 'fp32') || elementCount(shape) <= FEWEST_ELEMENTS)
    return undefined;
  return {
    name,
    shape,
    outputAxis: role.output(shape.length),
    inputAxis: role.input(shape.length),
    dtype: tensor.dtype,
    tensor: { ...val.streamedValue, name, dtype: tensor.dtype === 'fp16' ? 'f16' : 'f32', shape },
    claim: (wish) => names.claim(wish),
  };
}

/** Makes the operations that replace a weight; `undefined` where it is to stay or would not shrink. */
function quantizeWeight(
  weight: MilWeight,
  plan: QuantizationPlan,
  ios: number,
): { readonly operations: readonly Operation[]; readonly report: QuantizedWeight } | undefined {
  const asked = plan(weight);
  if (!asked) return undefined;
  // Groups of any size are refused where there are none.
  const fitted: FittedForm = ios < 18 ? { form: asked } : withEqualGroups(asked, weight);
  const { form, undivided } = fitted;
  const { operations, error } = compressedForm(weight, form, ios);
  const { name, shape, tensor } = weight;
  const bytesBefore = tensor.byteLength;
  const bytesAfter = operations
    .flatMap((operation) => [...operationValues(operation)])
    .reduce((sum, [, { streamedValue }]) => sum + (streamedValue?.byteLength ?? 0), 0);
  if (bytesAfter >= bytesBefore) return undefined;
  return { operations, report: { name, shape, form, undivided, bytesBefore, bytesAfter, error } };
}

/** Axes of a layer's weight, by its rank. */
interface Role {
  output(rank: number): number;
  input(rank: number): number;
}

type Roles = ReadonlyMap<string, Role>;

/** Finds the values that are weights to all their readers, with the axes of each. */
function weightRoles(block: Block): Roles {
  const constants = blockConstants(block);
  const roles = new Map<string, Role>();
  const others = new Set(block.outputs);
  for (const operation of block.operations) {
    for (const [parameter, { arguments: bindings }] of Object.entries(operation.inputs)) {
      for (const { name } of bindings) {
        if (name === undefined) continue;
        const role = roleOf(operation, parameter, constants);
        if (role) roles.set(name, role);
        else others.add(name);
      }
    }
  }
  for (const name of others) roles.delete(name);
  return roles;
}

function roleOf(
  operation: Operation,
  parameter: string,
  constants: ReadonlyMap<string, Value>,
): Role | undefined {
  const isSwapped = (flag: string): boolean => {
    const value = parameterValue(operation, flag, constants);
    return value !== undefined && immediateElements(value)?.[0] === true;
  };
  switch (`${operation.type} ${parameter}`) {
    case 'conv weight':
    case 'linear weight':
      return { output: () => 0, input: () => 1 };
    case 'conv_transpose weight':
      return { output: () => 1, input: () => 0 };
    case 'matmul x':
      return isSwapped('transpose_x') ? fromEnd(1, 2) : fromEnd(2, 1);
    case 'matmul y':
      return isSwapped('transpose_y') ? fromEnd(2, 1) : fromEnd(1, 2);
    default:
      return undefined;
  }
}

function fromEnd(output: number, input: number): Role {
  return { output: (rank) => rank - output, input: (rank) => rank - input };
}
