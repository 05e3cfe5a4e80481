import { FileFormatError } from '../../../errors.ts';
import { firstOf, quote } from '../../../io/error-text.ts';
import { featuresByFunction, type MilModel } from './mil-model.ts';
import { programFunctions, tensorTypeOf } from './mil-program.ts';
import type { FeatureDescription, NamedValueType } from './mil-schema.ts';

/**
 * Gives an open model whose description, by which it is chosen and fed, is that of its program; closes any other, which has a file of
 * another model or a damaged one, and throws `FileFormatError`.
 */
export async function verifiedDescription(model: MilModel): Promise<MilModel> {
  try {
    verifyDescription(model);
    return model;
  } catch (error) {
    await model.close();
    throw error;
  }
}

function verifyDescription({ path, description, program }: MilModel): void {
  const featuresOf = featuresByFunction({ description, program });
  for (const { name, function: fn, block } of programFunctions(program)) {
    const { input, output, state } = featuresOf(name);
    if (input.length + output.length + state.length === 0) continue; // not described
    const taken = [...input, ...state];
    compareNames('inputs', namesOf(taken), namesOf(fn.inputs), path);
    compareNames('outputs', namesOf(output), block.outputs, path);
    compareShapes(taken, fn.inputs, path);
  }
}

function namesOf(values: readonly { readonly name: string }[]): string[] {
  return values.map(({ name }) => name);
}

function compareNames(
  side: 'inputs' | 'outputs',
  described: readonly string[],
  computed: readonly string[],
  path: string,
): void {
  const [one, other] = [new Set(described), new Set(computed)];
  if (one.size === other.size && [...one].every((name) => other.has(name))) return;
  throw contradiction(path, side, firstOf(described.map(quote)), firstOf(computed.map(quote)));
}

/** Compares sizes that are fixed on both sides, where both have as many. */
function compareShapes(
  described: readonly FeatureDescription[],
  computed: readonly NamedValueType[],
  path: string,
): void {
  const types = new Map(
    computed.map(({ name, type }) => [name, tensorTypeOf(type?.stateType?.wrappedType ?? type)]),
  );
  for (const { name, type } of described) {
    const {
      shape = [],
      shapeRange,
      enumeratedShapes,
    } = type?.multiArrayType ?? type?.stateType?.arrayType ?? {};
    const sizes = types.get(name)?.shape ?? [];
    if (shapeRange || enumeratedShapes || sizes.length !== shape.length) continue;
    if (sizes.every((size, axis) => size === undefined || size === shape[axis])) continue;
    const computedShape = sizes.map((size) => size ?? '?').join(', ');
    throw contradiction(path, 'inputs', `${quote(name)} [${shape.join(', ')}]`, `[${computedShape}]`);
  }
}

function contradiction(
  path: string,
  side: 'inputs' | 'outputs',
  described: string,
  computed: string,
): FileFormatError {
  return new FileFormatError({
    problem: `${path} contradicts itself: its program has other ${side} than its description.`,
    details: { 'in the description': described || 'none', 'in the program': computed || 'none' },
    advice:
      'It is damaged, or put together of several models: copy or download it again, or convert it again.',
  });
}
