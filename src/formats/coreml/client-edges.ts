import { FileFormatError } from '../../errors.ts';
import { MilWriter } from './build/mil-writer.ts';
import { deploymentTargets } from './deployment-target.ts';
import type { MilModel } from './mil/mil-model.ts';
import { tensorTypeOf, withBlocks } from './mil/mil-program.ts';
import {
  type Argument,
  type Block,
  encodeDescription,
  type FeatureDescription,
  type Model,
  type Operation,
} from './mil/mil-schema.ts';
import { int32s, namedType } from './mil/mil-value.ts';

const TEXT = 'encoder_hidden_states';
/** What Apple's layout of the text is called inside. */
const INNER = `${TEXT}_channels_first`;

/**
 * A Core ML model that takes `encoder_hidden_states` as diffusers has them, [B,S,C], instead of Apple's [B,C,1,S]: two
 * operations come before the others, which stay as they are, and so do the weights. Models without that input are
 * returned unchanged. Throws `FileFormatError`, calling the model `label`, where its description and its program differ.
 */
export function withTokensFirst(model: Model, label: string): Model {
  const { description, mlProgram } = model;
  if (!description || !mlProgram) return model;
  const shape = description.input.find(({ name }) => name === TEXT)?.type?.multiArrayType?.shape;
  const [batch, channels, one, tokens] = shape ?? [];
  if (batch === undefined || channels === undefined || one !== 1 || tokens === undefined) return model;
  const wanted = [batch, tokens, channels];
  const program = withBlocks(mlProgram, (block, fn) => {
    const type = tensorTypeOf(fn.inputs.find(({ name }) => name === TEXT)?.type ?? null);
    if (!type) throw takesNoText(label);
    const write = new MilWriter(deploymentTargets.macOS13.ios);
    for (const { outputs } of block.operations) for (const { name } of outputs) write.names.claim(name);
    const turned = { name: `${INNER}_flat`, dtype: type.dtype, shape: [batch, channels, tokens] };
    write.operation('transpose', { x: TEXT, perm: int32s([0, 2, 1]) }, turned);
    const inner = { name: INNER, dtype: type.dtype, shape: [batch, channels, 1, tokens] };
    write.operation('expand_dims', { x: turned.name, axes: int32s([2]) }, inner);
    return withInnerName(block, write.operations);
  });
  const functions = Object.entries(program.functions).map(([name, fn]) => {
    const inputs = fn.inputs.map((input) => {
      const type = input.name === TEXT ? tensorTypeOf(input.type) : undefined;
      return type ? namedType(TEXT, type.dtype, wanted) : input;
    });
    return [name, { ...fn, inputs }] as const;
  });
  return {
    ...model,
    mlProgram: { ...program, functions: Object.fromEntries(functions) },
    description: { ...description, input: description.input.map((feature) => reshaped(feature, wanted)) },
  };
}

/** A model with other names for outputs, by their own; one that has no such output is returned unchanged. */
export function withOutputNames(model: MilModel, names: ReadonlyMap<string, string>): MilModel {
  const { description } = model;
  if (!description.output.some(({ name }) => names.has(name))) return model;
  const renamed = (features: readonly FeatureDescription[]) =>
    features.map((feature) => ({ ...feature, name: names.get(feature.name) ?? feature.name }));
  const functions = description.functions.map((each) => ({ ...each, output: renamed(each.output) }));
  const named = { ...description, functions, output: renamed(description.output) };
  return {
    ...model,
    description: named,
    descriptionBytes: encodeDescription(named),
    program: withBlocks(model.program, (block) => withValueNames(block, names)),
  };
}

/** A block with other names for values; one inside that has such a name already gives way. */
function withValueNames(block: Block, names: ReadonlyMap<string, string>): Block {
  const taken = new Set(block.operations.flatMap(({ outputs }) => outputs.map(({ name }) => name)));
  const all = new Map([...names].filter(([name]) => taken.has(name)));
  for (const name of [...all.values()].filter((each) => taken.has(each))) {
    let free = `${name}_inner`;
    while (taken.has(free)) free += '_';
    all.set(name, free);
  }
  const rename = (name: string) => all.get(name) ?? name;
  const operations = block.operations.map((operation) => withOtherNames(operation, rename));
  return { ...block, outputs: block.outputs.map(rename), operations };
}

/** An operation that reads and gives values of other names. */
function withOtherNames(operation: Operation, rename: (name: string) => string): Operation {
  const inputs = Object.entries(operation.inputs).map(
    ([key, { arguments: bindings }]): [string, Argument] => {
      const renamed = bindings.map((binding) =>
        binding.name === undefined ? binding : { ...binding, name: rename(binding.name) },
      );
      return [key, { arguments: renamed }];
    },
  );
  const outputs = operation.outputs.map((output) => ({ ...output, name: rename(output.name) }));
  return { ...operation, inputs: Object.fromEntries(inputs), outputs };
}

function takesNoText(label: string): FileFormatError {
  return new FileFormatError({
    problem: `${label} contradicts itself: its description has the input ${TEXT}, and one of its functions does not take it.`,
    advice: 'Convert the checkpoint that it was made from.',
  });
}

/** A block whose operations read the text under its inner name, after the operations that give it. */
function withInnerName(block: Block, before: readonly Operation[]): Block {
  const operations = block.operations.map((operation): Operation => {
    const reads = Object.values(operation.inputs).some((each) =>
      each.arguments.some(({ name }) => name === TEXT),
    );
    return reads ? withOtherNames(operation, (name) => (name === TEXT ? INNER : name)) : operation;
  });
  return { ...block, operations: [...before, ...operations] };
}

function reshaped(feature: FeatureDescription, shape: readonly number[]): FeatureDescription {
  const array = feature.type?.multiArrayType;
  if (feature.name !== TEXT || !feature.type || !array) return feature;
  return { ...feature, type: { ...feature.type, multiArrayType: { ...array, shape } } };
}
