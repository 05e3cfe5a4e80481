import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Variant } from '../checkpoint/component-weights.ts';
import { openPart, partAt } from '../checkpoint/open-part.ts';
import type { Sizes } from '../convert/contracts/contract.ts';
import { optimumContract } from '../convert/contracts/optimum.ts';
import { convert } from '../convert/convert.ts';
import { componentOf, type NetworkName, networkKind } from '../convert/networks/networks.ts';
import type { ModelSettings } from '../convert/networks/realistic.ts';
import { NotFoundError } from '../errors.ts';
import { type Format, targetOfFormat } from '../formats/format.ts';
import { buildOnnxModel } from '../formats/onnx/build-model.ts';
import { bordersOf } from '../formats/onnx/edges/onnx-borders.ts';
import type { TensorMap } from '../formats/runner.ts';
import { targets } from '../formats/targets.ts';
import type { Graph } from '../graph/graph.ts';
import { pathKind } from '../io/disk.ts';
import { type StoredForms, withStoredForms } from '../quantize/stored-form.ts';
import { openRunnableChain, type RunnableChain, runnableChainOf } from '../run/chain.ts';
import {
  type FoundModel,
  findModels,
  formatOfModel,
  modelPlaces,
  modelsInResources,
} from '../run/find-models.ts';
import { readRecording } from '../run/read-recording.ts';
import { modelSettings, readModelSettings } from './model-settings.ts';

/** Source of the tensors that an artifact is compared with. */
export type Reference = RecordedReference | RunnableReference;

/** Inputs, and the outputs that another program computed from them. */
export interface RecordedReference {
  readonly kind: 'recorded';
  readonly path: string;
  readonly tensors: TensorMap;
  close(): Promise<void>;
}

/** Models that can be run on any inputs. */
export interface RunnableReference {
  readonly kind: 'runnable';
  readonly path: string;
  readonly settings: ModelSettings;
  /** The text encoders it has beside other models, in the order in which their outputs are joined. */
  readonly textEncoders: readonly TextEncoderName[];
  /** Opens the reference's form of a model to be run in parts. Throws `NotFoundError`. */
  open(model: WantedModel): Promise<RunnableChain>;
  /**
   * The same with the model's weights in these forms. `undefined` where one of them is of no weight of the model; absent
   * where there are no weights to put into other forms.
   */
  openQuantized?(model: WantedModel, forms: StoredForms): Promise<RunnableChain | undefined>;
  close(): Promise<void>;
}

export type TextEncoderName = 'text_encoder' | 'text_encoder_2';

const textEncoderNames: readonly TextEncoderName[] = ['text_encoder', 'text_encoder_2'];

/** A model that a reference is asked for: by its folder's name, or by the network it is. */
export interface WantedModel {
  readonly name: string;
  readonly network: NetworkName;
  /** The format that it is compared in where the reference has several. */
  readonly format?: Format | undefined;
  /** Its own sizes, for a reference that is built with fixed ones. */
  readonly sizes?: Sizes | undefined;
}

/**
 * Opens what an artifact is to be compared with: a `.safetensors` of recorded inputs and outputs; an `.onnx`, a
 * model's folder or an output folder; or a checkpoint, or one network of it alone, such as a ControlNet, whose networks are then built
 * anew, of its plain weights or a `variant` of them, in float32 with ORIGINAL attention. Throws `NotFoundError`, `FileFormatError`, and
 * what opening a checkpoint throws.
 */
export async function openReference(path: string, variant?: Variant): Promise<Reference> {
  const isFolder = (await pathKind(path)) === 'folder';
  if (!isFolder && !weightFile.test(path)) return converted(path);
  const part = await partAt(path);
  if (part === undefined && isFolder) return converted(path);
  if (part === undefined && /\.safetensors$/i.test(path)) return recorded(path);
  return builtFrom(await openPart(path, part ?? 'checkpoint', variant)); // which says what anything else is
}

const weightFile = /\.(safetensors|ckpt|pt|pth|bin|gguf)$/i;

async function recorded(path: string): Promise<RecordedReference> {
  return { kind: 'recorded', path, tensors: await readRecording(path), close: async () => {} };
}

async function converted(path: string): Promise<RunnableReference> {
  const models = await findModels(
    path,
    `${modelPlaces}; a checkpoint, or a UNet, VAE or ControlNet alone; or recorded tensors (.safetensors)`,
  );
  const [only, ...others] = models;
  const all = [...models, ...(await modelsInResources(path))];
  return {
    kind: 'runnable',
    path,
    settings: only ? await readModelSettings(only.root) : {},
    textEncoders: textEncoderNames.filter((encoder) => models.some(({ name }) => name === encoder)),
    async open({ name, format }) {
      const found = (await likest(all, name, format)) ?? (others.length === 0 ? only : undefined);
      if (!found) throw noSuchModel(path, name, models);
      return openRunnableChain(found.paths, {});
    },
    close: async () => {},
  };
}

/** The model of a name in the format that is wanted, else in the other one of Core ML, else in any. */
async function likest(
  models: readonly FoundModel[],
  name: string,
  format: Format | undefined,
): Promise<FoundModel | undefined> {
  const called = models.filter((model) => model.name === name);
  const formats = await Promise.all(called.map(formatOfModel));
  const isCoreMl = (each: Format | undefined): boolean => each === 'mlpackage' || each === 'mlmodelc';
  const nearest = [
    format ? formats.indexOf(format) : -1,
    formats.findIndex((each) => isCoreMl(each) && isCoreMl(format)),
    0,
  ].find((index) => index >= 0);
  return called[nearest ?? 0];
}

function builtFrom(checkpoint: Checkpoint): RunnableReference {
  return { ...checkpointReference(checkpoint), close: () => checkpoint.close() };
}

/** The networks of an open checkpoint, built anew; it stays the caller's to close. */
export function checkpointReference(checkpoint: Checkpoint): RunnableReference {
  return {
    kind: 'runnable',
    path: checkpoint.path,
    settings: modelSettings(checkpoint.components),
    textEncoders: textEncodersOf(checkpoint),
    open: async (wanted) => runnable(checkpoint, wanted.network, graphOf(checkpoint, wanted)),
    async openQuantized(wanted, forms) {
      const graph = withStoredForms(graphOf(checkpoint, wanted), forms);
      return graph && runnable(checkpoint, wanted.network, graph);
    },
    close: async () => {},
  };
}

/** A network as the plainest graph that can be compared with a model. */
function graphOf(checkpoint: Checkpoint, { network, format, sizes = {} }: WantedModel): Graph {
  const own = ownName(checkpoint, network);
  if (networkKind(own) === 'controlnet' && !checkpoint.components.has(own))
    throw noSuchModel(checkpoint.path, network, [...checkpoint.components.values()]);
  const attention = 'ORIGINAL';
  const target = format && targets[targetOfFormat[format]];
  const arranged = target?.arranged?.(checkpoint, own, { attention, sizes });
  const plain = { models: [own], contract: optimumContract, attention, sizes: {} } as const;
  const model = arranged ?? convert(checkpoint, plain)[0];
  if (!model) throw new Error(`${checkpoint.path} gave no ${network}`);
  return model.graph;
}

/** What a checkpoint calls a network: a refiner beside its base model, and one ControlNet of several, have other names alone. */
function ownName({ family, components }: Checkpoint, network: NetworkName): NetworkName {
  if (network === 'refiner' && family === 'sdxl-refiner') return 'unet';
  const isControlNet = components.size === 1 && components.has('controlnet');
  return isControlNet && networkKind(network) === 'controlnet' ? 'controlnet' : network;
}

function textEncodersOf({ components }: Checkpoint): TextEncoderName[] {
  return textEncoderNames.filter((encoder) => components.has(componentOf(encoder)));
}

/** A graph whose weights are read from the checkpoint as it runs. */
function runnable(checkpoint: Checkpoint, network: NetworkName, graph: Graph): RunnableChain {
  const model = buildOnnxModel(graph, { model: network });
  const path = `the float32 ${network} of ${checkpoint.path}`;
  return runnableChainOf([{ ...bordersOf(model.proto, path), model, close: async () => {} }]);
}

function noSuchModel(
  path: string,
  name: string,
  models: readonly { readonly name: string }[],
): NotFoundError {
  const isControlNet = name.startsWith('controlnet');
  return new NotFoundError({
    problem: `the reference ${path} has no ${name}.`,
    details: { 'it has': models.map((model) => model.name).join(', ') },
    advice: isControlNet
      ? 'Name the ControlNet’s own folder or file as the reference, and each model as what is compared with it.'
      : `Compare with one that has it, or leave ${name} out.`,
  });
}
