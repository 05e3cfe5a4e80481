import type { NetworkKind } from '../convert/networks/networks.ts';
import type { QuantizationPlan } from '../quantize/plan.ts';
import type { QuantizedWeight } from '../quantize/quantized-weight.ts';
import type { StoredForms } from '../quantize/stored-form.ts';
import type { TensorStream } from '../weights/tensor-stream.ts';
import type { WeightGroup } from '../weights/weight-groups.ts';
import type { ArtifactId, Chunk, ModelName } from './artifact-id.ts';
import type { ClientForm } from './client-form.ts';
import type { Format, OwnFacts } from './format.ts';
import type { Runnable, RunnableOptions, Runner, RunnerOptions } from './runner.ts';

/** A file that will be written, and its exact size in bytes. */
export interface PlannedFile {
  /** Name relative to the artifact's folder. */
  readonly name: string;
  readonly byteLength: number;
}

/** A file that has been written. */
export interface WrittenFile extends PlannedFile {
  /** SHA-256 of its bytes, in hexadecimal. */
  readonly sha256: string;
}

/** Contents of a file: its parts (at least one) in the order of their offsets; gaps between them are zeros. */
export interface FileContents {
  /** Name relative to the artifact's folder. */
  readonly name: string;
  readonly parts: readonly FilePart[];
  /** Told of the file when it is complete and none after it has begun: one of them may hold its hash. */
  readonly onWritten?: ((file: WrittenFile) => void) | undefined;
}

/** A part of a file and the offset at which it begins. */
export interface FilePart {
  readonly offset: number;
  readonly tensor: TensorStream;
}

/** Bytes of files together. */
export function totalBytes(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Callback with the size of each block written, in bytes; throwing stops the work. */
export type OnBytes = (count: number) => void;

/** Plan of an artifact: no weight has been read, and its model need not stay in memory. */
export interface PlannedArtifact {
  readonly id: ArtifactId;
  /** Its folder, relative to the output folder: `onnx/unet_chunk1`. */
  readonly path: string;
  readonly files: readonly PlannedFile[];
}

/** A model in some format, just built or read from the disk: its graph is known, no weight has been read. */
export interface Artifact {
  /** Name of the model by its metadata, or else by its path. */
  readonly name: ModelName;
  /** Quantises the weights that a plan names. Throws `UnsupportedModelError` for forms that its format lacks. */
  rewritten(plan: QuantizationPlan): Rewritten;
  /** Gives it the edges that a client wants; the network is of this kind. Throws `UnsupportedModelError`, `RequestError`. */
  forClient(form: ClientForm, kind: NetworkKind): Artifact;
  /** Cuts into models that run in a row, each with at most `maxBytes` of weights. Throws `ChunkBudgetError`, `UnsupportedModelError`. */
  cut(maxBytes: number): Cut;
  /** Files that it consists of, with exact sizes. */
  files(): readonly PlannedFile[];
  /** Contents of these files; weights stream when they are written. Reads a few small values, and throws what reading throws. */
  contents(): Promise<readonly FileContents[]>;
}

/** A model with quantised weights. */
export interface Rewritten {
  readonly artifact: Artifact;
  /** The newly quantised weights. */
  readonly weights: readonly QuantizedWeight[];
}

/** A model in chunks, in the order in which they run. */
export interface Cut {
  readonly chunks: readonly Artifact[];
  /** Note to the user where the number of chunks has consequences. */
  readonly note?: string | undefined;
}

/**
 * An artifact on the disk: all that commands know of formats. Everything is read when it is first needed, and only once.
 */
export interface StoredArtifact<F extends Format = Format> {
  readonly format: F;
  /** A package's or compiled model's folder; of ONNX, the file. */
  readonly path: string;
  /** Reads its graph. Throws `FileFormatError` for damaged files, `UnsupportedModelError` for models of other kinds. */
  open(): Promise<Artifact>;
  /** Reads the facts that `inspect` prints. Throws as `open` does. */
  facts(): Promise<ArtifactFacts<F>>;
  /** Reads the forms of its quantised weights. Throws as `open` does. */
  quantized(): Promise<StoredForms>;
  /** Loads it to be run. Throws as `open` does, and `UnsupportedModelError` for operations that cannot be run. */
  run(options: RunnerOptions): Promise<Runner>;
  /** Prepares it to be run in parts; the artifact must stay open as long. Throws as `run` does. */
  runnable(options: RunnableOptions): Promise<Runnable>;
  /** Bytes of its files. */
  byteLength(): Promise<number>;
  /** Names in its folder that are of something else: they would go with the folder. */
  others(): Promise<readonly string[]>;
  /** Path of a chunk of it: beside it, in the format that is written. */
  chunkPath(chunk: Chunk): string;
  /** Destination of a rewritten artifact: a given output, or its own place. Throws `RequestError` for an impossible one. */
  place(output: string | undefined): string;
  /** Copies the files beside the model to a rewritten one: its config, or (`inPlace`) all of them. */
  complete(folder: string, use: { readonly inPlace: boolean }): Promise<void>;
  /** Releases everything that was opened; a second call does nothing. */
  close(): Promise<void>;
}

/** An input or output as it is declared. */
export interface DeclaredValue {
  readonly name: string;
  readonly dtype: string;
  /** Sizes; a text is the name of a free size, or its range (`64…128`). `null` where not even the rank is declared. */
  readonly shape: readonly (number | string)[] | null;
}

/** Facts of an artifact that are known without reading its weights. */
export interface ArtifactFacts<F extends Format = Format> {
  /** Network by its metadata, in its own words. */
  readonly network?: string | undefined;
  readonly chunk?: Chunk | undefined;
  readonly inputs: readonly DeclaredValue[];
  readonly outputs: readonly DeclaredValue[];
  /** The type of every operation. */
  readonly operations: readonly string[];
  readonly weights: readonly WeightGroup[];
  readonly files: readonly PlannedFile[];
  readonly metadata: Readonly<Record<string, string>>;
  /** Problems found, a sentence each. */
  readonly problems: readonly string[];
  readonly own: OwnFacts[F];
}

/** Lines about a model, by label; unknown facts are left out. */
export type FactLines = Readonly<Record<string, string | null | readonly (string | number | null)[]>>;

/** A format: how its artifacts are found and opened. */
export interface FormatRoom<F extends Format = Format> {
  /** Noun for use in a sentence: `an ONNX model`. */
  readonly title: string;
  /** Its name before a path: `ONNX model`. */
  readonly heading: string;
  /** Finds the artifact at a path by content, not by name; `undefined` where there is none. */
  locate(path: string, kind: 'file' | 'folder'): Promise<string | undefined>;
  /** Opens a path that `locate` found or that has the format's ending; reads nothing yet. */
  open(path: string): StoredArtifact<F>;
  /** Describes the facts that only this format has, for a person. */
  describe(own: OwnFacts[F]): FactLines;
}
