import { float16Factors } from '../../../quantize/float16-factors.ts';
import type { Attribute, Declaration, ProgramGraph } from '../program.ts';
import { matrixProduct, pairwise, reduce, softmax, withNumber } from './composites.ts';
import { type FixedType, type FixedValue, OperationWriter, tensorType } from './operation-writer.ts';

/** What attention reads; a mask is added to the scores. */
interface AttentionOperands {
  readonly query: FixedValue;
  readonly key: FixedValue;
  readonly value: FixedValue;
  readonly mask?: FixedValue | undefined;
}

/**
 * Computations that back ends have kernels for, as private graphs with a declaration, each once for all calls of the same
 * types: names and attributes are those of Apple's exporter (coreai-torch). Where no kernel takes its place the graph is
 * computed as it stands.
 */
export class DeclaredGraphs {
  readonly #graphs = new Map<string, ProgramGraph>();

  /** In the order in which they were first called. */
  get all(): readonly ProgramGraph[] {
    return [...this.#graphs.values()];
  }

  /** Calls the group norm of x [B,C,H,W]; weight and bias are [C]. */
  groupNorm(
    write: OperationWriter,
    operands: readonly [FixedValue, FixedValue, FixedValue],
    { groups, epsilon }: { readonly groups: number; readonly epsilon: number },
  ): FixedValue {
    const [{ type }] = operands;
    const [batch = 0, channels = 0, ...image] = type.shape;
    const size = image.reduce((product, each) => product * each, channels / groups);
    const attributes = { eps: float(epsilon), num_channels: integer(channels), num_groups: integer(groups) };
    const declaration = declare('group_norm', ['input', 'weight', 'bias'], attributes);
    return this.#call(write, declaration, operands, type, (inner, [x, ...scales]) => {
      const grouped = inner.reshape(inner.cast(x, 'f32'), [batch, groups, size]);
      const normed = inner.reshape(normalised(inner, grouped, 2, epsilon), type.shape);
      const perChannel = [1, channels, ...image.map(() => 1)];
      return scaled(
        inner,
        normed,
        scales.map((each) => inner.reshape(each, perChannel)),
        type,
      );
    });
  }

  /** Calls the layer norm of one axis; weight and bias are [n]. */
  layerNorm(
    write: OperationWriter,
    operands: readonly [FixedValue, FixedValue, FixedValue],
    { axis, epsilon }: { readonly axis: number; readonly epsilon: number },
  ): FixedValue {
    const [{ type }] = operands;
    const attributes = { axes: list([integer(axis)]), eps: float(epsilon) };
    const declaration = declare('layer_norm', ['input', 'gamma', 'beta'], attributes);
    return this.#call(write, declaration, operands, type, (inner, [x, ...scales]) => {
      const normed = normalised(inner, inner.cast(x, 'f32'), axis, epsilon);
      const along = type.shape.map((size, at) => (at === axis ? size : 1)).slice(axis);
      return scaled(
        inner,
        normed,
        scales.map((each) => inner.reshape(each, along)),
        type,
      );
    });
  }

  /** Calls attention: queries, keys and values [B,heads,S,d], and a mask that is added to the scores. `scale` multiplies them. */
  attention(
    write: OperationWriter,
    { query, key, value, mask }: AttentionOperands,
    scale: number,
  ): FixedValue {
    const size = query.type.shape.at(-1) ?? 1;
    const type = tensorType(query.type.element, [
      ...query.type.shape.slice(0, -1),
      value.type.shape.at(-1) ?? 0,
    ]);
    const attributes = {
      is_causal: flag(false),
      window_size: integer(0),
      ...(isUsual(scale, size) ? {} : { scale: float(scale) }),
    };
    const names = ['query', 'key', 'value', ...(mask ? ['attn_mask'] : [])];
    const declaration = declare('scaled_dot_product_attention', names, attributes);
    const given = [query, key, value, ...(mask ? [mask] : [])];
    return this.#call(write, declaration, given, type, (inner, [q, k, v, m]) => {
      if (!k || !v) throw new Error('attention has keys and values');
      const keys = inner.transpose(k, [0, 1, 3, 2]);
      // Before the product, so that scores in float16 do not overflow, and there by two numbers where one is not exact.
      const factors = q.type.element === 'f16' ? float16Factors(scale) : [scale];
      const scaledQuery = factors.reduce<FixedValue>(
        (x, factor = 1) => withNumber(inner, 'mul', x, factor),
        q,
      );
      const scores = matrixProduct(inner, scaledQuery, keys);
      const masked = m ? pairwise(inner, 'add', scores, m) : scores;
      return matrixProduct(inner, softmax(inner, masked, masked.type.shape.length - 1), v);
    });
  }

  #call(
    write: OperationWriter,
    declaration: Declaration,
    operands: readonly FixedValue[],
    type: FixedType,
    body: (write: OperationWriter, inputs: readonly [FixedValue, ...FixedValue[]]) => FixedValue,
  ): FixedValue {
    const types = operands.map((operand) => operand.type);
    const key = JSON.stringify([declaration, types, type], (_, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    const graph = this.#graphs.get(key) ?? this.#declare(key, declaration, types, body);
    const name: Attribute = { kind: 'symbol', path: [graph.name] };
    return write.operation('dataflow.invoke_v1', operands, type, {
      properties: [list([]), { kind: 'parameter', value: name, type: { kind: 'symbol' } }, list([])],
    });
  }

  #declare(
    key: string,
    declaration: Declaration,
    types: readonly FixedType[],
    body: (write: OperationWriter, inputs: readonly [FixedValue, ...FixedValue[]]) => FixedValue,
  ): ProgramGraph {
    const [first, ...others] = types.map((type) => ({ type }));
    if (!first) throw new Error(`${declaration.name} has no input`);
    const write = new OperationWriter();
    const result = body(write, [first, ...others]);
    const graph = {
      name: `${declaration.name}_${this.#graphs.size + 1}`,
      isPublic: false,
      declaration,
      inputs: [first, ...others].map((value, index) => ({ name: declaration.inputNames[index], value })),
      outputs: [{ value: result }],
      operations: write.operations,
    };
    this.#graphs.set(key, graph);
    return graph;
  }
}

/** Whether scores are multiplied by size^−½, but for what is lost where two numbers of float16 stand for it. */
function isUsual(scale: number, size: number): boolean {
  return Math.abs(scale * size ** 0.5 - 1) < 2 ** -16;
}

/** (x − mean) / √(variance + epsilon) along an axis. */
function normalised(write: OperationWriter, x: FixedValue, axis: number, epsilon: number): FixedValue {
  const centred = pairwise(write, 'sub', x, reduce(write, 'mean', x, [axis]));
  const variance = reduce(write, 'mean', pairwise(write, 'mul', centred, centred), [axis]);
  const shifted = withNumber(write, 'add', variance, epsilon);
  return pairwise(write, 'mul', centred, write.operation('primitive.rsqrt_v1', [shifted], shifted.type));
}

/** Times a weight, plus a bias, in the type of the result. */
function scaled(
  write: OperationWriter,
  x: FixedValue,
  [weight, bias]: readonly FixedValue[],
  { element }: FixedType,
): FixedValue {
  if (!weight || !bias) throw new Error('a norm has a weight and a bias');
  const product = pairwise(write, 'mul', x, write.cast(weight, 'f32'));
  return write.cast(pairwise(write, 'add', product, write.cast(bias, 'f32')), element);
}

function declare(
  name: string,
  inputNames: readonly string[],
  attributes: Declaration['attributes'],
): Declaration {
  return { name, inputNames, attributes: { ...attributes, version: integer(1) }, outputNames: ['output'] };
}

function integer(value: number): Attribute {
  return { kind: 'integer', width: 64, unsigned: false, value: BigInt(value) };
}

function flag(value: boolean): Attribute {
  return { kind: 'integer', width: 1, unsigned: false, value: BigInt(value) };
}

function float(value: number): Attribute {
  return { kind: 'float', width: 32, value };
}

function list(items: readonly Attribute[]): Attribute {
  return { kind: 'array', items };
}
