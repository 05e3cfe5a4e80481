import { byteSize, byteWidth, elementCount } from '../../../weights/dtype.ts';
import type { ModelBorders } from '../../runner.ts';
import type { OnnxModel } from '../build-model.ts';
import { dtypeOf, toNumber, type ValueInfoProto } from '../proto.ts';
import type { InputShapes } from '../run/executed-model.ts';

/** Values that a file need not declare (steps within a function) take no more than three times what it does. */
const UNDECLARED = 4;

/** A weight is mapped, and copied in the dtype of the computation, at most twice as wide. */
const COPIES = 3;

/** Shape of each value that a model declares, for inputs of these shapes; those that stay free are left out. */
export function declaredShapes(
  { model, inputs }: { readonly model: OnnxModel } & Pick<ModelBorders, 'inputs'>,
  given: InputShapes,
): ReadonlyMap<string, readonly number[]> {
  const sizes = new Map<string, number>();
  for (const { name, dims } of inputs)
    for (const [axis, dim] of dims.entries())
      if (typeof dim === 'string') sizes.set(dim, given.get(name)?.[axis] ?? Number.NaN);
  const { input, valueInfo, output } = model.proto.graph ?? {};
  const shapes = new Map<string, readonly number[]>();
  for (const { name, type } of [input, valueInfo, output].flatMap((infos) => infos ?? [])) {
    const dims = type?.tensorType?.shape?.dim?.map((dim) => boundSize(dim, sizes));
    if (dims?.every((size) => size > 0)) shapes.set(name ?? '', dims);
  }
  return shapes;
}

/**
 * Bytes that a model takes at most when it is run whole: all values it declares at once, and all weights. Infinite where not
 * every input, output and value of many nodes is declared.
 */
export function mostBytes({ proto }: OnnxModel, shapes: ReadonlyMap<string, readonly number[]>): number {
  const { node = [], initializer, input, valueInfo, output } = proto.graph ?? {};
  const infos = [input, valueInfo, output].flatMap((each) => each ?? []);
  const isSparse = infos.length * UNDECLARED < (node?.length ?? 0);
  if (isSparse || infos.some(({ name }) => !shapes.has(name ?? ''))) return Number.POSITIVE_INFINITY;
  const values = infos.reduce((sum, info) => sum + bytesOf(info, shapes.get(info.name ?? '') ?? []), 0);
  const weights = (initializer ?? []).reduce((sum, { dims, dataType }) => {
    const dtype = dtypeOf(dataType ?? 0);
    return sum + (dtype ? byteSize((dims ?? []).map(toNumber), dtype) : 0);
  }, 0);
  return UNDECLARED * values + COPIES * weights;
}

function bytesOf({ type }: ValueInfoProto, shape: readonly number[]): number {
  const dtype = dtypeOf(type?.tensorType?.elemType ?? 0);
  return elementCount(shape) * Math.max(4, dtype ? byteWidth(dtype) : 0);
}

type Dimension = NonNullable<
  NonNullable<NonNullable<NonNullable<ValueInfoProto['type']>['tensorType']>['shape']>['dim']
>[number];

/** A size with its symbols replaced: `height * width / 4 + 333`; NaN where one is unknown. */
function boundSize({ dimValue, dimParam }: Dimension, sizes: ReadonlyMap<string, number>): number {
  if (!dimParam) return toNumber(dimValue);
  const sizeOf = (factor: string): number =>
    sizes.get(factor) ?? (/^\d+$/.test(factor) ? Number(factor) : Number.NaN);
  const known = sizes.get(dimParam);
  if (known !== undefined) return known;
  return dimParam.split(' + ').reduce((sum, term) => {
    const [product = '', divisor = '1'] = term.split(' / ');
    return sum + product.split(' * ').reduce((so, factor) => so * sizeOf(factor), 1) / Number(divisor);
  }, 0);
}
