import type { NetworkKind } from '../convert/networks/networks.ts';
import type { DType } from '../weights/dtype.ts';
import { endings } from './format.ts';

/**
 * How artifacts for a client differ from those of their target: only at the edges, so a finished model is changed, and
 * its weights are shared. The clients themselves are in `src/bundle/profiles/`.
 */
export interface ClientForm {
  /** The client's name. */
  readonly client: string;
  /** Folder of its artifacts, relative to the output. */
  readonly folder: string;
  /** Networks that it loads. */
  readonly networks: readonly NetworkKind[];
  readonly onnx?: OnnxEdges;
  readonly coreMl?: CoreMlEdges;
}

/** Declared sizes: numbers, or the names of free ones. */
export type Dims = readonly (number | string)[];

/**
 * The edges of ONNX models. A list holds all that the client takes, what it is given first: a port that has one of the
 * others already stays as it is.
 */
export interface OnnxEdges {
  /** Dtypes of `input_ids`, by text encoder. */
  readonly ids: { readonly text_encoder: Choices<DType>; readonly text_encoder_2: Choices<DType> };
  /** Of several steps in a row, the first counts for all rows. */
  readonly timestep: { readonly dtypes: Choices<DType>; readonly shapes: Choices<Dims> };
  /** Dtypes of all other numbers. */
  readonly floats: Choices<DType>;
  /** Outputs of the first text encoder; all when left out. */
  readonly textOutputs?: readonly string[];
  /** Output of the VAE encoder: mean and log variance, or `latent_sample` (here the mean, the most likely sample). */
  readonly vaeEncoder: 'parameters' | 'sample';
  /** Name of the external data; `null` for weights inside of the model. */
  readonly data: string | null;
  /** New names, or fixed sizes, of free dimensions. */
  readonly dims: { readonly [K in NetworkKind]?: Readonly<Record<string, string | number>> };
}

/** What is accepted, what is written first. */
export type Choices<T> = readonly [T, ...T[]];

/** The edges of Core ML models. */
export interface CoreMlEdges {
  /** Layout of `encoder_hidden_states`: diffusers’ [B,S,C] instead of Apple’s [B,C,1,S]. */
  readonly text: 'tokens-first';
  /** Name of a package, without its ending. */
  packageName(facts: PackageFacts): string;
  /** Patterns of these names, those of UNets first. */
  readonly packageNames: readonly [RegExp, ...RegExp[]];
}

/** What the name of a package may tell. */
export interface PackageFacts {
  readonly kind: NetworkKind;
  /** Name of the checkpoint, without the organisation. */
  readonly stem: string;
  /** Shapes of the inputs, by name. */
  readonly inputs: ReadonlyMap<string, readonly number[]>;
  readonly attention: 'ORIGINAL' | 'SPLIT_EINSUM' | 'SPLIT_EINSUM_V2';
  /** Bits of quantised weights. */
  readonly bits?: number | undefined;
}

/** Path of a package for a client, relative to the output. */
export function clientPackagePath(
  { folder }: Pick<ClientForm, 'folder'>,
  { packageName }: CoreMlEdges,
  facts: PackageFacts,
): string {
  return `${folder}/${packageName(facts)}${endings.mlpackage}`;
}

/** An input or output of an ONNX model. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Dims;
}
