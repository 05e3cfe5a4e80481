import type { Checkpoint, Component } from '../../checkpoint/checkpoint.ts';
import type { Dim } from '../../graph/dim.ts';
import type { Graph, GraphOutput } from '../../graph/graph.ts';
import type { Scope } from '../../graph/scope.ts';
import type { Shape } from '../../graph/shape.ts';
import type { Tensor } from '../../graph/tensor.ts';
import type { Ignored } from '../../graph/weight-book.ts';
import type { Rng } from '../../random/rng.ts';
import type { Weight } from '../../weights/weight.ts';
import type { AttentionImplementation } from '../blocks/attention.ts';
import type { Contract, ContractName, PortKind, Sizes } from '../contracts/contract.ts';
import { type Traits, traitsOf } from '../traits.ts';
import type { Axis, EncodedPrompts, InputCase, InputSizes, ModelSettings } from './realistic.ts';

/** The names of several tensors in a row: of number `index` of `count`. */
export type PortNames = (index: number, count: number) => string;

/** How an input or output appears in one contract. */
export interface PortForm {
  readonly name: string | PortNames;
  /** Its dimensions, where they are not the network's. */
  readonly axes?: InputPort['axes'];
  /** Of which checkpoints; of all when left out. */
  readonly of?: (traits: Traits) => boolean;
}

/** An input or output in each contract, by its name or in full; `null` where it is not there. */
export type Port = { readonly [C in ContractName]: string | PortNames | PortForm | null } & {
  /** What it is, for people who look at a Core ML model; `null` where none shows it. */
  readonly text: string | null;
  /** What recordings of diffusers call it, too; of several tensors, what their names begin with. */
  readonly recorded?: readonly string[];
};

/** An input, left out where the config has no size for one of its dimensions. */
export type InputPort = Port & {
  /** `numbers` when left out. */
  readonly kind?: PortKind;
  readonly axes: readonly (Axis | number)[];
};

/** A dimension as a file declares it: the name of a free one, or its range. */
export type DeclaredDim = number | string | undefined;

/** What a graph is built with. */
export interface BuildOptions {
  /** Names, shapes and dtypes at the borders. */
  readonly contract: Contract;
  readonly attention: AttentionImplementation;
  readonly sizes: Sizes;
}

/** What is known of a network beside its forward pass. */
interface Facts<Part extends string> {
  /** The checkpoint's folder for it; of several ControlNets, the first's. */
  readonly component: string;
  /** What the commands name it by when only some are converted: itself, or what it goes with. */
  readonly part: Part;
  /** What to call it in a sentence. */
  readonly title: string;
  /** What it does, for people who look at a Core ML model. */
  readonly shortDescription: string;
  /** What Apple's Swift package calls it (StableDiffusionPipeline+Resources.swift); `null` for one that has a name of its own. */
  readonly swiftName: string | null;
  /** Whether `--quantize-nbits` is for it, as with Apple's tool: a VAE or a safety checker would save little and lose much. */
  readonly fewerBits: boolean;
  /** Inputs of which one tells a model to be this network. */
  readonly marks: readonly string[];
  /** A network with inputs of the same names. */
  readonly like?: string;
  /** Whether a model with the inputs of `like` is this network, by the last dimensions of its inputs and outputs. */
  isUnlike?(lastDims: ReadonlyMap<string, DeclaredDim>): boolean;
  /** What its config.json says of realistic inputs, by key. */
  readonly settings: { readonly [K in keyof ModelSettings]: string };
  /** The folder's tensors that it leaves alone. */
  ignored(component: Component): readonly Ignored[];
  /** The inputs that come first in a contract, by the network's names, where the order is not that of `inputs`. */
  readonly order?: { readonly [C in ContractName]?: readonly string[] };
  /** The weights under the names that the network reads, where old files have others. Throws `FileFormatError`. */
  presentNames?(weights: ReadonlyMap<string, Weight>): ReadonlyMap<string, Weight>;
  /** Why it must not be computed in float16, a sentence; `undefined` where it may. */
  needsFloat32?(component: Component, traits: Traits): string | undefined;
  /** Inputs such as it meets in use, in optimum's names. Throws `RequestError` where a size is not known. */
  cases(rng: Rng, sizes: InputSizes, settings: ModelSettings, prompts: EncodedPrompts): InputCase[];
}

/** A network as its card defines it: `Inputs` and `Outputs` are its own names for what it reads and gives. */
export interface Definition<Config, Inputs, Outputs, Part extends string> extends Facts<Part> {
  readonly inputs: { readonly [K in keyof Inputs]-?: InputPort };
  readonly outputs: { readonly [K in keyof Outputs]-?: Port };
  /** Throws `ConfigError`. */
  read(component: Component): Config;
  /** The sizes that it takes, where not any will do. Throws `RequestError`. */
  sizes?(config: Config, options: BuildOptions, checkpoint: Checkpoint): Sizes;
  dims(config: Config, options: BuildOptions): { readonly [A in Axis]?: Dim | undefined };
  forward(at: Scope, inputs: Inputs, config: Config, options: BuildOptions): Outputs;
}

/** All that sdconvert knows of a network. */
export interface NetworkCard<Part extends string = string> extends Facts<Part> {
  readonly inputs: Readonly<Record<string, InputPort>>;
  readonly outputs: Readonly<Record<string, Port>>;
  /** Its graph under a contract; no weight is read. Throws `ConfigError`, `MissingWeightError`, `ShapeError` and `RequestError`. */
  build(at: Scope, component: Component, options: BuildOptions, checkpoint: Checkpoint): Graph;
}

/** The card of a network: its forward pass between the inputs and outputs of any contract. */
export function networkCard<Config, Inputs, Outputs extends object, const Part extends string>(
  definition: Definition<Config, Inputs, Outputs, Part>,
): NetworkCard<Part> {
  return {
    ...definition,
    build(at, component, given, checkpoint) {
      const config = definition.read(component);
      const options = { ...given, sizes: definition.sizes?.(config, given, checkpoint) ?? given.sizes };
      const inputs = declareInputs(at, definition, definition.dims(config, options), options.contract);
      // as: they are declared by the names of Inputs; those that the config has no size for are optional there.
      const outputs = definition.forward(at, inputs as Inputs, config, options);
      return at.builder.finish(
        nameOutputs(definition.outputs, outputs, options.contract, traitsOf(checkpoint)),
      );
    },
  };
}

/** How a port appears in a contract; `undefined` where it does not. */
export function portForm(port: Port, contract: ContractName): PortForm | undefined {
  const form = port[contract];
  if (form === null) return undefined;
  return typeof form === 'object' ? form : { name: form };
}

type Declared = Record<string, Tensor | ((shapes: readonly Shape[]) => Tensor[])>;

/** The inputs that the config has sizes for; several in a row are declared when the network knows their shapes. */
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
