import { UnsupportedModelError } from '../../../errors.ts';
import type { ModelBorders, ValueInfo } from '../../runner.ts';
import { dtypeOf, type ModelProto, toNumber, type ValueInfoProto } from '../proto.ts';

/** The inputs and outputs that a model declares; `path` names it in errors. Throws `UnsupportedModelError` for one that is no tensor. */
export function bordersOf({ graph }: ModelProto, path: string): ModelBorders {
  // Old files list their weights among the inputs.
  const weights = new Set((graph?.initializer ?? []).map(({ name }) => name));
  const inputs = (graph?.input ?? []).filter(({ name }) => !weights.has(name));
  return {
    path,
    inputs: inputs.map((info) => declared(info, path)),
    outputs: (graph?.output ?? []).map((info) => declared(info, path)),
  };
}

function declared({ name, type }: ValueInfoProto, path: string): ValueInfo {
  const { elemType, shape } = type?.tensorType ?? {};
  const dtype = dtypeOf(elemType ?? 0);
  if (dtype) return { name: name ?? '', dtype, dims: (shape?.dim ?? []).map(sizeOf) };
  throw new UnsupportedModelError({
    problem: `${path} cannot be run: ${name} is not a tensor of numbers.`,
    advice: 'Name a model whose inputs and outputs are tensors.',
  });
}

function sizeOf({ dimValue, dimParam }: Dimension): number | string {
  // A size that is not said has no name, and in a message that was read the number 0; some tools write −1 for it.
  const size = toNumber(dimValue);
  return dimParam || (size > 0 ? size : '');
}

type Dimension = NonNullable<
  NonNullable<NonNullable<NonNullable<ValueInfoProto['type']>['tensorType']>['shape']>['dim']
>[number];
