import type { Checkpoint, Component } from '../../../checkpoint/checkpoint.ts';
import { clipTextConfig } from '../../../convert/config/clip-text-config.ts';
import type { Model } from '../../../convert/convert.ts';
import { traitsOf } from '../../../convert/traits.ts';
import { RequestError } from '../../../errors.ts';
import { concat, mul, reshape } from '../../../graph/functions.ts';
import { GraphBuilder } from '../../../graph/graph.ts';
import { fixedDimAt } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { ended, hasWords, paddedWithZeros } from './padding.ts';
import { declareLike, outputsOf, type Results, recordGraph } from './record-graph.ts';

/** CLIP's end token, and the number that configs have in its place which were written before transformers 4.30. */
const CLIP_END = 49407;
const LEGACY_END = 2;

/** The components that read the prompt, in the order in which their hidden states stand. */
export const encoders = ['text_encoder', 'text_encoder_2'] as const;

/** Channels of the hidden states that the text encoders of a checkpoint give together. */
export function hiddenChannels({ components }: Checkpoint): number {
  const own = encoders.flatMap((name) => components.get(name) ?? []);
  return own.reduce((sum, component) => sum + clipTextConfig(component).hidden_size, 0);
}

/**
 * Whether a text encoder reads prompts that are padded with id 0: those of OpenCLIP (Stable Diffusion 2.x, the second one of
 * XL) were trained so, the others with prompts that are padded with the end token.
 */
export function padsWithZero(checkpoint: Checkpoint, { name, config }: Component): boolean {
  const { family, isXl } = traitsOf(checkpoint);
  if (isXl) return name === 'text_encoder_2';
  return family === 'sd2' || (family === undefined && config.hidden_act === 'gelu');
}

/** A text encoder that takes prompts as Apple's tokenizer ends and pads them, whatever it was trained with. */
export function withOwnPadding(checkpoint: Checkpoint, model: Model): Model {
  const builder = new GraphBuilder();
  const ids = declareIds(builder, model);
  return { ...model, graph: builder.finish(outputsOf(encode(builder, checkpoint, model, ids))) };
}

/**
 * The text encoders of Stable Diffusion XL as one: `input_ids` int32 [1,S] → `hidden_states` [1,S,H+P], the hidden states of
 * each, and in every row the pooled text of the last. A refiner has the second one alone. Where the checkpoint says so, an empty
 * prompt gives zeros. Throws `RequestError` where one of two is to be converted.
 */
export function oneTextEncoder(checkpoint: Checkpoint, models: readonly Model[]): Model[] {
  const [first] = models;
  if (!first) return [];
  if (models.length < encoders.filter((name) => checkpoint.components.has(name)).length) throw oneIsMissing();
  const builder = new GraphBuilder();
  const ids = declareIds(builder, first);
  const results = models.map((model) =>
    // Both have weights of the same names.
    encode(builder, checkpoint, model, ids, model === first ? '' : `${model.name}.`),
  );
  const hidden = results.flatMap((each) => each.get('hidden_embeds') ?? []);
  const pooled = results.at(-1)?.get('pooled_outputs');
  if (!pooled || hidden.length < models.length) throw new RangeError('not the text encoders of XL');
  const rows = fixedDimAt(ids.shape, 1);
  const ones = builder.constant(new Float32Array(rows).fill(1), [1, rows, 1]);
  const repeated = mul(ones, reshape(pooled, [1, 1, fixedDimAt(pooled.shape, 1)]));
  const states = concat([...hidden, repeated], 2);
  const tensor = hasZerosForEmptyPrompt(checkpoint)
    ? mul(states, reshape(hasWords(ids, endOf(first.component)), [1, 1, 1]))
    : states;
  const graph = builder.finish([{ name: 'hidden_states', tensor }]);
  return [{ name: 'text_encoder', component: joined(first, models), graph }];
}

/** The first component, made of the files of all. */
function joined({ component: first }: Model, models: readonly Model[]): Component {
  const files = models.flatMap(({ component: { files: own, configFile, adapted } }) =>
    configFile === first.configFile || adapted ? own : [...own, configFile],
  );
  return { ...first, files };
}

function declareIds(builder: GraphBuilder, { graph: { inputs } }: Model): Tensor {
  const [ids] = inputs;
  if (!ids) throw new RangeError('a text encoder without inputs');
  return declareLike(builder, ids);
}

function encode(
  builder: GraphBuilder,
  checkpoint: Checkpoint,
  model: Model,
  ids: Tensor,
  prefix = '',
): Results {
  const { graph, component } = model;
  const end = endOf(component);
  const whole = ended(ids, end);
  const own = padsWithZero(checkpoint, component) ? paddedWithZeros(whole, end) : whole;
  return recordGraph(builder, graph, new Map([[ids.name, own]]), prefix);
}

function endOf(component: Component): number {
  const { eos_token_id: end, vocab_size: words } = clipTextConfig(component);
  return end === LEGACY_END ? Math.min(CLIP_END, words - 1) : end;
}

function oneIsMissing(): RequestError {
  return new RequestError({
    problem:
      'Core AI has the text encoders of Stable Diffusion XL in one model, and only one of two is converted.',
    advice: 'Convert both: --convert-text-encoder.',
  });
}

/** As diffusers' pipeline decides it, whose default is that of the base model. */
function hasZerosForEmptyPrompt({ modelIndex, family }: Checkpoint): boolean {
  const { force_zeros_for_empty_prompt: zeros } = modelIndex;
  return typeof zeros === 'boolean' ? zeros : family !== 'sdxl-refiner';
}
