import { FileFormatError } from '../../errors.ts';
import { MilWriter } from './build/mil-writer.ts';
import { deploymentTargets } from './deployment-target.ts';
import { tensorTypeOf, withBlocks } from './mil/mil-program.ts';
import type { Argument, Block, FeatureDescription, Model, Operation } from './mil/mil-schema.ts';
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

function takesNoText(label: string): FileFormatError {
  return new FileFormatError({
    problem: `${label} contradicts itself: its description has the input ${TEXT}, and one of its functions does not take it.`,
    advice: 'Convert the checkpoint that it was made from.',
  });
}

/** A block whose operations read the text under its inner name, after the operations that give it. */
function withInnerName(block: Block, before: readonly Operation[]): Block {
  const renamed = ({ arguments: bindings }: Argument): Argument => ({
    arguments: bindings.map((binding) => (binding.name === TEXT ? { name: INNER } : binding)),
  });
  const operations = block.operations.map((operation): Operation => {
    const reads = Object.values(operation.inputs).some((each) =>
      each.arguments.some(({ name }) => name === TEXT),
    );
    if (!reads) return operation;
    const inputs = Object.entries(operation.inputs).map(([key, each]) => [key, renamed(each)]);
    return { ...operation, inputs: Object.fromEntries(inputs) };
  });
  return { ...block, operations: [...before, ...operations] };
}

function reshaped(feature: FeatureDescription, shape: readonly number[]): FeatureDescription {
  const array = feature.type?.multiArrayType;
  if (feature.name !== TEXT || !feature.type || !array) return feature;
  return { ...feature, type: { ...feature.type, multiArrayType: { ...array, shape } } };
}
