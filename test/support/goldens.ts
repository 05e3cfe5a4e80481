import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/weights/safetensors-file.ts';
import { readTensor, type TensorData } from '../../src/weights/tensor-data.ts';
import type { Tensors } from './run-onnx.ts';

/** What diffusers gave for one call of a network (test/goldens/README.md). */
export interface Golden {
  /** The file's name without its ending: `unet.case1`. */
  readonly name: string;
  readonly tensors: Readonly<Record<string, TensorData>>;
}

/** The recorded calls of a component, in the order of their names. */
export async function readGoldens(folder: string, component: string): Promise<Golden[]> {
  const files = readdirSync(folder).filter(
    (file) => file.startsWith(`${component}.`) && !file.includes('.intermediates.'),
  );
  return Promise.all(
    files.sort().map(async (file): Promise<Golden> => {
      const opened = await openSafetensors(join(folder, file));
      const tensors = await Promise.all(
        [...opened.weights.values()].map((weight) => readTensor(weight, weight.dtype)),
      );
      await opened.close();
      const names = [...opened.weights.keys()];
      return {
        name: file.replace(/\.safetensors$/, ''),
        tensors: Object.fromEntries(names.map((name, i) => [name, tensors[i] as TensorData])),
      };
    }),
  );
}

/** Inputs and outputs of optimum's models, as goldens call them. */
const inputNames: Readonly<Record<string, readonly string[]>> = {
  sample: ['x', 'sample'],
  latent_sample: ['z'],
  encoder_hidden_states: ['encoder_hidden_states_diffusers'],
};
const outputNames: Readonly<Record<string, string>> = {
  out_sample: 'noise_pred',
  sample: 'image',
  latent_parameters: 'latent',
  pooler_output: 'pooled_outputs',
  text_embeds: 'pooled_outputs',
};

/** What a golden calls a ControlNet's residual: one numbering for the skip connections and, last, the middle. */
function residualName(name: string, tensors: Golden['tensors']): string | undefined {
  const down = /^down_block_(?:additional_residual|res_sample)_(\d+)$/.exec(name);
  if (down) return `additional_residual_${down[1]}`;
  if (!/^mid_block_(additional_residual|res_sample)$/.test(name)) return undefined;
  const recorded = Object.keys(tensors).map((key) => /^additional_residual_(\d+)/.exec(key)?.[1] ?? -1);
  return `additional_residual_${Math.max(...recorded.map(Number))}`;
}

/** The outputs that goldens have: of a text encoder's hidden states, the last but one. */
export function recordedOutputs(outputs: readonly string[]): string[] {
  const hidden = outputs.filter((output) => output.startsWith('hidden_states.'));
  const read = hidden.at(-2);
  return outputs.filter((output) => !hidden.includes(output) || output === read);
}

/** A golden's inputs as a model of optimum's contract takes them. */
export function feedsOf({ tensors }: Golden, inputs: readonly string[]): Tensors {
  return Object.fromEntries(
    inputs.map((input) => {
      const names = inputNames[input] ?? [residualName(input, tensors) ?? input];
      const [name = ''] = names.filter((each) => each in tensors);
      return [input, asFed(input, tensors[name])];
    }),
  );
}

/**
 * The numbers diffusers gave for an output; of those recorded with more than one rounding of the weights, the `rounding`
 * that is asked for: `''` for none, `'_w16'` for weights rounded to float16.
 */
export function expectedOf({ name, tensors }: Golden, output: string, rounding: '' | '_w16'): Float32Array {
  const known = output.startsWith('hidden_states.') ? 'hidden_embeds' : outputNames[output];
  const recorded = tensors[`${known ?? residualName(output, tensors) ?? output}${rounding}`];
  if (recorded?.dtype !== 'f32') throw new Error(`${name} has no ${output}${rounding}`);
  return recorded.data;
}

/** A float32 tensor of a golden, by its own name. */
export function floatsOf({ name, tensors }: Golden, tensor: string): TensorData<'f32'> {
  const found = tensors[tensor];
  if (found?.dtype !== 'f32') throw new Error(`${name} has no ${tensor}`);
  return found;
}

function asFed(input: string, tensor: TensorData | undefined): Tensors[string] {
  if (tensor?.dtype === 'i32')
    return { dtype: 'i64', shape: tensor.shape, data: BigInt64Array.from(tensor.data, BigInt) };
  if (tensor?.dtype !== 'f32') throw new Error(`${input} is not recorded`);
  // One timestep for all rows: a scalar.
  return input === 'timestep' ? { dtype: 'f32', shape: [], data: tensor.data.slice(0, 1) } : tensor;
}
