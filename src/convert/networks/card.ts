import type { Checkpoint, Component } from '../../checkpoint/checkpoint.ts';
import type { Dim } from '../../graph/dim.ts';
import type { Graph, GraphOutput } from '../../graph/graph.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Ignored } from '../../graph/weight-book.ts';
import type { JsonObject } from '../../io/json/python-json.ts';
import type { Rng } from '../../random/rng.ts';
import type { Weight } from '../../weights/weight.ts';
import type { AttentionImplementation } from '../blocks/attention.ts';
import type { Contract, ContractName, PortKind, Sizes } from '../contracts/contract.ts';
import { type Traits, traitsOf } from '../traits.ts';
import type { Axis, EncodedPrompts, InputCase, InputSizes, ModelSettings } from './realistic.ts';

/** Names the tensors of a port that has several: tensor `index` of `count`. */
export type PortNames = (index: number, count: number) => string;

/** How an input or output appears in one contract. */
export interface PortForm {
  readonly name: string | PortNames;
  /** Its dimensions, where they differ from the port's. */
  readonly axes?: InputPort['axes'];
  /** Whether models of a checkpoint have it; all have it when left out. */
  readonly of?: (traits: Traits) => boolean;
}

/** An input or output: its name or form in each contract, `null` in a contract without it. */
export type Port = { readonly [C in ContractName]: string | PortNames | PortForm | null } & {
  /** Description in a Core ML model, which Xcode shows; `null` for none. */
  readonly text: string | null;
  /** Its other names in recordings of diffusers; for a port of several tensors, prefixes of their names. */
  readonly recorded?: readonly string[];
};

/** An input; it is left out where the config has no size for one of its dimensions. */
export type InputPort = Port & {
  /** `numbers` when left out. */
  readonly kind?: PortKind;
  readonly axes: readonly (Axis | number)[];
};

/** A dimension as a file declares it: a number, the name of a free one, or its range. */
export type DeclaredDim = number | string | undefined;

/** Options for building a graph. */
export interface BuildOptions {
  /** Decides names, shapes and dtypes of inputs and outputs. */
  readonly contract: Contract;
  readonly attention: AttentionImplementation;
  readonly sizes: Sizes;
}

/** Facts about a network, apart from its forward pass. */
interface Facts<Part extends string> {
  /** Name of the component that it is built from; for ControlNets, of the first. */
  readonly component: string;
  /** Name by which commands select it; several networks may share one. */
  readonly part: Part;
  /** Name in a sentence, with its article. */
  readonly title: string;
  /** Description of a Core ML model, which Xcode shows. */
  readonly shortDescription: string;
  /**
   * Name in Apple's Swift package (StableDiffusionPipeline+Resources.swift); `null` for a ControlNet, which has its
   * model's name.
   */
  readonly swiftName: string | null;
  /**
   * Whether `--quantize-nbits` applies to it, as in Apple's tool: a VAE or a safety checker would save little and lose
   * much.
   */
  readonly fewerBits: boolean;
  /** Inputs that identify the network: a model with any of them is this network. */
  readonly marks: readonly string[];
  /** A network with inputs of the same names. */
  readonly like?: string;
  /** Whether a model with the inputs of `like` is this network, by the last dimensions of its inputs and outputs. */
  isUnlike?(lastDims: ReadonlyMap<string, DeclaredDim>): boolean;
  /** The settings of realistic inputs: keys of config.json that hold them, or how they follow from it. */
  readonly settings: { readonly [K in keyof ModelSettings]: string | ((config: JsonObject) => unknown) };
  /** Tensors of the component that it does not use. */
  ignored(component: Component): readonly Ignored[];
  /** Inputs that come first in a contract, by the network's names, where the order differs from that of `inputs`. */
  readonly order?: { readonly [C in ContractName]?: readonly string[] };
  /** Renames the weights of old files to the names that the network reads. Throws `FileFormatError`. */
  presentNames?(weights: ReadonlyMap<string, Weight>): ReadonlyMap<string, Weight>;
  /** Reason why it must not be computed in float16, a sentence; `undefined` where it may. */
  needsFloat32?(component: Component, traits: Traits): string | undefined;
  /** Realistic inputs, in optimum's names. Throws `RequestError` where a size is unknown. */
  cases(rng: Rng, sizes: InputSizes, settings: ModelSettings, prompts: EncodedPrompts): InputCase[];
}

/** Definition of a network's card; `Inputs` and `Outputs` have the names that the forward pass uses. */
export interface Definition<Config, Inputs, Outputs, Part extends string> extends Facts<Part> {
  readonly inputs: { readonly [K in keyof Inputs]-?: InputPort };
  readonly outputs: { readonly [K in keyof Outputs]-?: Port };
  /** Reads and checks the config. Throws `ConfigError`. */
  read(component: Component): Config;
  /** Checks and completes the sizes, where the network does not take every size. Throws `RequestError`. */
  sizes?(config: Config, options: BuildOptions, checkpoint: Checkpoint): Sizes;
  dims(config: Config, options: BuildOptions): { readonly [A in Axis]?: Dim | undefined };
  forward(at: Scope, inputs: Inputs, config: Config, options: BuildOptions): Outputs;
}

/** All that sdconvert knows of a network. */
export interface NetworkCard<Part extends string = string> extends Facts<Part> {
  readonly inputs: Readonly<Record<string, InputPort>>;
  readonly outputs: Readonly<Record<string, Port>>;
  /**
   * Builds its graph for a contract; reads no weights. Throws `ConfigError`, `MissingWeightError`, `ShapeError` and
   * `RequestError`.
   */
  build(at: Scope, component: Component, options: BuildOptions, checkpoint: Checkpoint): Graph;
}

/** Makes a card from its definition: `build` puts the forward pass between the inputs and outputs of a contract. */
export function networkCard<Config, Inputs, Outputs extends object, const Part extends string>(
  definition: Definition<Config, Inputs, Outputs, Part>,
): NetworkCard<Part> {
  return {
    ...definition,
    build(at, component, given, checkpoint) {
      const config = definition.read(component);
      const options = { ...given, sizes: definition.sizes?.(config, given, checkpoint) ?? given.sizes };
      const inputs = declareInputs(at, definition, definition.dims(config, options), options.contract);
      // as: `declareInputs` uses the names of Inputs, where inputs that the config may have no size for are optional.
      const outputs = definition.forward(at, inputs as Inputs, config, options);
      return at.builder.finish(
        nameOutputs(definition.outputs, outputs, options.contract, traitsOf(checkpoint)),
      );
    },
  };
}

/** Form of a port in a contract; `undefined` in a contract without it. */
export function portForm(port: Port, contract: ContractName): PortForm | undefined {
  const form = port[contract];
  if (form === null) return undefined;
  return typeof form === 'object' ? form : { name: form };
}

type Declared = Record<string, Tensor | ((shapes: readonly Shape[]) => Tensor[])>;

/**
 * Declares the inputs that the config has sizes for; a port of several inputs is declared once the forward pass knows
 * their shapes.
 */
function declareInputs(
  { builder }: Scope,
  { inputs, order }: Pick<NetworkCard, 'inputs' | 'order'>,
  dims: { readonly [A in Axis]?: Dim | undefined },
  contract: Contract,
): Declared {
  const declared: Declared = {};
  for (const key of new Set([...(order?.[contract.name] ?? []), ...Object.keys(inputs)])) {
    const port = inputs[key];
    const form = port && portForm(port, contract.name);
    if (!form) continue;
    const { name, axes = port.axes } = form;
    const declare = contract.input[port.kind ?? 'numbers'];
    if (typeof name === 'function') {
      declared[key] = (shapes) => shapes.map((shape, i) => declare(builder, name(i, shapes.length), shape));
      continue;
    }
    const shape = axes.map((axis) => (typeof axis === 'number' ? axis : dims[axis]));
    if (shape.every((dim) => dim !== undefined)) declared[key] = declare(builder, name, shape);
  }
  return declared;
}

function nameOutputs(
  ports: Readonly<Record<string, Port>>,
  results: object,
  contract: Contract,
  traits: Traits,
): GraphOutput[] {
  const values = new Map<string, Tensor | readonly Tensor[] | undefined>(Object.entries(results));
  return Object.entries(ports).flatMap(([key, port]) => {
    const form = portForm(port, contract.name);
    if (!form || (form.of && !form.of(traits))) return [];
    const { name } = form;
    return [values.get(key) ?? []].flat().map((tensor, i, { length }) => ({
      name: typeof name === 'function' ? name(i, length) : name,
      tensor: contract.output(tensor),
    }));
  });
}
