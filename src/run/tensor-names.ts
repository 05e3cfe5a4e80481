import { contractNames } from '../convert/contracts/contract.ts';
import { type InputPort, type NetworkCard, type Port, portForm } from '../convert/networks/card.ts';
import { cardOf, type NetworkKind, networkKinds, networks } from '../convert/networks/networks.ts';
import type { DeclaredValue } from '../formats/artifact.ts';

/**
 * What the models' inputs and outputs are called: by optimum's ONNX pipelines, by Apple's Core ML models, and in
 * recordings of diffusers. This is the only place that knows which names mean the same tensor.
 */

/** Whether a name is looked up among inputs or outputs: `sample` is the picture that a VAE encoder takes and a decoder gives. */
export type Side = 'inputs' | 'outputs';

const cards: readonly NetworkCard[] = Object.values(networks);

/** Names of one tensor: optimum's, Apple's, and what recordings call it beside them. Those in a row are numbered, see below. */
const synonyms: { readonly [K in Side]: readonly (readonly string[])[] } = {
  inputs: cards.flatMap(({ inputs }) => synonymsIn(inputs)),
  outputs: cards.flatMap(({ outputs }) => synonymsIn(outputs)),
};

function synonymsIn(ports: Readonly<Record<string, Port>>): string[][] {
  return Object.values(ports)
    .map((port) => [...new Set(namesOf(port))])
    .filter((names) => names.length > 1);
}

/** Names of a single tensor, optimum's first. */
function namesOf(port: Port): string[] {
  const names = contractNames.flatMap((contract) => portForm(port, contract)?.name ?? []);
  if (names.some((name) => typeof name === 'function')) return [];
  return [...names.filter((name) => typeof name === 'string'), ...(port.recorded ?? [])];
}

/** Outputs that a recording of a text encoder may have although the model lacks them. */
const textEncoderOutputs = [networks.text_encoder, networks.text_encoder_2].flatMap(({ outputs }) =>
  Object.values(outputs).flatMap(namesOf),
);

/** The output in which a text encoder gives all of XL's text, as Core AI has it: no other network reads that. */
export const ONE_TEXT = 'hidden_states';

/** An input's name in optimum's contract; a name that only one contract has stays as it is. */
export function optimumInput(name: string): string {
  return synonyms.inputs.find((names) => names.includes(name))?.[0] ?? name;
}

/**
 * Finds `name` among the `available` names: the same name, or else another contract's name for the same tensor.
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

/** The dimensions of a network's inputs, by optimum's names. */
export function optimumInputs(network: NetworkKind): ReadonlyMap<string, InputPort['axes']> {
  const found = new Map<string, InputPort['axes']>();
  for (const port of Object.values(cardOf(network).inputs)) {
    const { name, axes = port.axes } = portForm(port, 'optimum') ?? {};
    if (typeof name === 'string') found.set(name, axes);
  }
  return found;
}

/** Tensors that a recording of a network may hold, by optimum's names; for tensors in a row, the prefix of their names. */
export function recordedNames(network: NetworkKind): Readonly<Record<Side, readonly string[]>> {
  const { inputs, outputs } = cardOf(network);
  const names = (ports: Readonly<Record<string, Port>>) =>
    Object.values(ports).flatMap((port) => [...namesOf(port), ...(port.recorded ?? [])]);
  return { inputs: names(inputs), outputs: names(outputs) };
}

/** Networks with identifying input names; those with more inputs come first, as theirs include those of others. */
const marks = networkKinds
  .map((kind) => ({ kind, card: cardOf(kind) }))
  .filter(({ card }) => card.like === undefined)
  .sort((a, b) => Object.keys(b.card.inputs).length - Object.keys(a.card.inputs).length);

/** Recognises a network by its input names; `undefined` for an unknown one. Of networks with equal names, returns the first. */
export function networkOf(inputs: readonly string[]): NetworkKind | undefined {
  const names = inputs.map(optimumInput);
  return marks.find(({ card }) => card.marks.some((mark) => names.includes(mark)))?.kind;
}

/** Recognises a network by its inputs and outputs, in any contract; `undefined` for an unknown one. */
export function networkOfPorts(
  inputs: readonly DeclaredValue[],
  outputs: readonly DeclaredValue[],
): NetworkKind | undefined {
  const kind = networkOf(inputs.map(({ name }) => name));
  // A VAE's one input has a name that anybody's model might have; that it is a batch of pictures must be true as well.
  const isVae = kind !== undefined && networks[kind].part.startsWith('vae_');
  if (isVae && (inputs.length !== 1 || inputs[0]?.shape?.length !== 4)) return undefined;
  const lastDims = new Map([...inputs, ...outputs].map(({ name, shape }) => [name, shape?.at(-1)]));
  const other = networkKinds.find((each) => cardOf(each).like === kind && cardOf(each).isUnlike?.(lastDims));
  return other ?? kind;
}
