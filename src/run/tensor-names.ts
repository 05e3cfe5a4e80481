import { type NetworkKind, type NetworkName, networkKind } from '../convert/contracts/contract.ts';
import { parseName } from '../formats/artifact-id.ts';

/**
 * What the models' inputs and outputs are called: by optimum's ONNX pipelines, by Apple's Core ML models, and in
 * recordings of diffusers. This is the only place that knows which names mean the same tensor.
 */

/** Whether a name is looked up among inputs or outputs: `sample` is the picture that a VAE encoder takes and a decoder gives. */
export type Side = 'inputs' | 'outputs';

/** Names of one tensor: optimum's, Apple's, and what recordings call it beside them. */
const synonyms: { readonly [K in Side]: readonly (readonly string[])[] } = {
  inputs: [
    ['sample', 'x'],
    ['latent_sample', 'z'],
    ['encoder_hidden_states', 'encoder_hidden_states_diffusers'],
  ],
  outputs: [
    ['out_sample', 'noise_pred'],
    ['sample', 'image'],
    ['latent_parameters', 'latent'],
    ['pooler_output', 'pooled_outputs'],
    ['text_embeds', 'pooled_outputs'], // of a text encoder with a projection
    ['out_images', 'filtered_images'],
  ],
};

/** What a recording of a text encoder may hold beyond what the model at hand gives. */
const textEncoderOutputs = [
  'last_hidden_state',
  'hidden_embeds',
  'pooler_output',
  'pooled_outputs',
  'text_embeds',
];

/** An input's name in optimum's contract; a name that only one contract has stays as it is. */
export function optimumInput(name: string): string {
  return synonyms.inputs.find((names) => names.includes(name))?.[0] ?? name;
}

/**
 * Which of the `available` names means what a model calls `name`: the same name if it is there, or another contract's.
 * `siblings` are all of the model's names on that side.
 */
export function findSynonym(
  side: Side,
  name: string,
  siblings: readonly string[],
  available: readonly string[],
): string | undefined {
  return [
    name,
    ...synonyms[side].filter((names) => names.includes(name)).flat(),
    ...residualNames(name, available),
    ...hiddenStateNames(name, siblings, available),
  ].find((each) => available.includes(each));
}

/**
 * Whether a recording of a model may hold a tensor that the model has no use for: another output of a text encoder, or
 * a variant of a known tensor (`noise_pred_float64`).
 */
export function isRecordedBeside(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
): boolean {
  const own = [
    ...[...inputs, ...outputs],
    ...synonyms.inputs.filter((names) => names.some((each) => inputs.includes(each))).flat(),
    ...synonyms.outputs.filter((names) => names.some((each) => outputs.includes(each))).flat(),
    ...(inputs.includes('input_ids') ? textEncoderOutputs : []),
  ];
  return own.some((known) => name === known || name.startsWith(`${known}_`));
}

/** Apple numbers a ControlNet's residuals through; diffusers calls the last one, the middle block's, by its own name. */
function residualNames(name: string, available: readonly string[]): string[] {
  if (/^mid_block_(additional_residual|res_sample)$/.test(name)) {
    return [`additional_residual_${lastIndex('additional_residual_', available)}`];
  }
  const [, down, number] = /^(down_block_)?(?:additional_residual|res_sample)_(\d+)$/.exec(name) ?? [];
  if (number === undefined) return [];
  if (down) return [`additional_residual_${number}`];
  return ['additional_residual', 'res_sample'].flatMap((kind) => {
    const isMiddle = lastIndex(`down_block_${kind}_`, available) === Number(number) - 1;
    return isMiddle ? [`mid_block_${kind}`] : [`down_block_${kind}_${number}`];
  });
}

/** Apple's `hidden_embeds` is the last but one of optimum's `hidden_states.0` … `hidden_states.N` (SDXL). */
function hiddenStateNames(name: string, siblings: readonly string[], available: readonly string[]): string[] {
  const lastButOne = (names: readonly string[]) => `hidden_states.${lastIndex('hidden_states.', names) - 1}`;
  if (name === 'hidden_embeds') return [lastButOne(available)];
  return name === lastButOne(siblings) ? ['hidden_embeds'] : [];
}

/** The highest number behind a prefix; −1 when there is none. */
function lastIndex(prefix: string, names: readonly string[]): number {
  const numbers = names.flatMap((name) => (name.startsWith(prefix) ? Number(name.slice(prefix.length)) : []));
  return Math.max(-1, ...numbers.filter(Number.isInteger));
}

/** Networks as far as their inputs tell them apart: a refiner is a UNet, and one text encoder is like another. */
export type NetworkForm = Exclude<NetworkKind, 'text_encoder_2' | 'refiner'>;

/** The first of these inputs, in optimum's names, that a network has says what it is. */
const formOfInput: readonly (readonly [input: string, form: NetworkForm])[] = [
  ['clip_input', 'safety_checker'],
  ['controlnet_cond', 'controlnet'],
  ['input_ids', 'text_encoder'],
  ['mid_block_additional_residual', 'control-unet'],
  ['additional_residual_0', 'control-unet'],
  ['timestep', 'unet'],
  ['latent_sample', 'vae_decoder'],
  ['sample', 'vae_encoder'],
];

/** Which network takes inputs of these names; `undefined` for one that is not known. */
export function networkOf(inputs: readonly string[]): NetworkForm | undefined {
  const names = inputs.map(optimumInput);
  return formOfInput.find(([input]) => names.includes(input))?.[1];
}

/** The network that a model of this form is: its name, where that says more (`refiner`, `text_encoder_2`, `controlnet_1`). */
export function networkCalled(name: string, form: NetworkForm): NetworkName {
  const { network } = parseName(name);
  return network && formOfKind(networkKind(network)) === form ? network : form;
}

function formOfKind(kind: NetworkKind): NetworkForm {
  if (kind === 'refiner') return 'unet';
  return kind === 'text_encoder_2' ? 'text_encoder' : kind;
}
