import type { QuantizationPlan } from '../quantize/plan.ts';
import type { QuantizedWeight } from '../quantize/quantized-weight.ts';
import type { WeightGroup } from '../weights/weight-groups.ts';
import type { ArtifactId, Chunk, ModelName } from './artifact-id.ts';
import type { Format, OwnFacts } from './format.ts';
import type { Runner, RunnerOptions } from './runner.ts';

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

/** Bytes of files together. */
export function totalBytes(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Is told how many bytes each block had that was written; stops the work by throwing. */
export type OnBytes = (count: number) => void;

/** What an artifact will be: no weight has been read, and the model that it is made of need not be in memory. */
export interface PlannedArtifact {
  readonly id: ArtifactId;
  /** Its folder, relative to the output folder: `onnx/unet_chunk1`. */
  readonly path: string;
  readonly files: readonly PlannedFile[];
}

/** A model in some format, just built or read from the disk: its graph is known, no weight has been read. */
export interface Artifact {
  /** Which model it says itself that it is; where it says nothing, what its name says. */
  readonly name: ModelName;
  /** The same model with the weights that a plan names in fewer bits. Throws `UnsupportedModelError` for forms that it cannot have. */
  rewritten(plan: QuantizationPlan): Rewritten;
  /** Models that run one after another, each under so many bytes of weights. Throws `ChunkBudgetError`, `UnsupportedModelError`. */
  cut(maxBytes: number): Cut;
  /** What writing it gives, to the byte. */
  files(): readonly PlannedFile[];
  /** Writes all of it into a folder, the weights block by block. Throws `DiskSpaceError`, and what reading the weights throws. */
  write(folder: string, onBytes: OnBytes): Promise<readonly WrittenFile[]>;
}

/** A model with quantised weights. */
export interface Rewritten {
  readonly artifact: Artifact;
  /** The weights that are quantised now and were not before. */
  readonly weights: readonly QuantizedWeight[];
}

/** A model in chunks, in the order in which they run. */
export interface Cut {
  readonly chunks: readonly Artifact[];
  /** What the user should know of so many chunks. */
  readonly note?: string | undefined;
}

/**
 * An artifact on the disk: all that commands know of formats. What is not asked for is not read; what is asked for twice
 * is read once.
 */
export interface StoredArtifact<F extends Format = Format> {
  readonly format: F;
  /** A package's or compiled model's folder; of ONNX, the file. */
  readonly path: string;
  /** Reads its graph. Throws `FileFormatError` for what is damaged, `UnsupportedModelError` for models of other kinds. */
  open(): Promise<Artifact>;
  /** What there is to tell of it. Throws as `open` does. */
  facts(): Promise<ArtifactFacts<F>>;
  /** Loads it to be run. Throws as `open` does, and `UnsupportedModelError` for operations that cannot be run. */
  run(options: RunnerOptions): Promise<Runner>;
  /** Bytes of its files. */
  byteLength(): Promise<number>;
  /** Where a chunk of it goes: beside it, in the format that is written. */
  chunkPath(chunk: Chunk): string;
  /** Where it goes when it is written anew: the folder that an output stands for, or its own. Throws `RequestError` where it cannot be. */
  place(output: string | undefined): string;
  /** Brings what lies beside the model into the folder of one that was made of it: its config, or all where that takes its place. */
  complete(folder: string, use: { readonly inPlace: boolean }): Promise<void>;
  /** Gives back what was opened; calling it twice is fine. */
  close(): Promise<void>;
}

/** An input or output as it is declared. */
export interface DeclaredValue {
  readonly name: string;
  readonly dtype: string;
  /** Sizes; a text is the name of a free size, or its range (`64…128`). `null` where not even the rank is declared. */
  readonly shape: readonly (number | string)[] | null;
}

/** What there is to tell of an artifact without reading its weights. */
export interface ArtifactFacts<F extends Format = Format> {
  /** Which network it says itself that it is, in its own words. */
  readonly network?: string | undefined;
  readonly chunk?: Chunk | undefined;
  readonly inputs: readonly DeclaredValue[];
  readonly outputs: readonly DeclaredValue[];
  /** The type of every operation. */
  readonly operations: readonly string[];
  readonly weights: readonly WeightGroup[];
  readonly files: readonly PlannedFile[];
  readonly metadata: Readonly<Record<string, string>>;
  /** What is wrong with it, a sentence each. */
  readonly problems: readonly string[];
  readonly own: OwnFacts[F];
}

/** What is told of a model, by label; what is not known is left out. */
export type FactLines = Readonly<Record<string, string | null | readonly (string | number | null)[]>>;

/** A format: how its artifacts are found and opened. */
export interface FormatRoom<F extends Format = Format> {
  /** What one is, in a sentence: `an ONNX model`. */
  readonly title: string;
  /** Its name before a path: `ONNX model`. */
  readonly heading: string;
  /** The artifact that a path stands for, by what is there and not by its name; `undefined` where there is none. */
  locate(path: string, kind: 'file' | 'folder'): Promise<string | undefined>;
  /** Takes what `locate` found, or what has the ending of its names; reads nothing yet. */
  open(path: string): StoredArtifact<F>;
  /** What only this format tells, for a person. */
  describe(own: OwnFacts[F]): FactLines;
}
