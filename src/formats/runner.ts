import type { Context } from '../context.ts';
import type { DType } from '../weights/dtype.ts';
import type { TensorData } from '../weights/tensor-data.ts';
import type { OnnxModel } from './onnx/build-model.ts';

/** A size that a model declares: a number, or the name of a free size. */
export type DeclaredDim = number | string;

/** Declaration of an input or output. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: DType;
  /** `[]` for a scalar. */
  readonly dims: readonly DeclaredDim[];
}

/** Tensors by name. */
export type TensorMap = ReadonlyMap<string, TensorData>;

/** A model's borders, as its file declares them. */
export interface ModelBorders {
  /** The file, for error messages. */
  readonly path: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
}

/** A written model that has been loaded to be run. */
export interface Runner extends ModelBorders {
  /** Computes all outputs from all inputs, which must have the declared dtypes; the caller keeps the inputs' buffers. */
  run(feeds: TensorMap): Promise<TensorMap>;
  /** Frees the memory; a second call does nothing. */
  close(): Promise<void>;
}

/** A written model that can be run in parts: its graph is in memory, none of its weights has been read. */
export interface Runnable extends ModelBorders {
  /** Its form in ONNX. Weights that are in no file yet, such as decoded ones, are in its `dataFiles`. */
  readonly model: OnnxModel;
  /** Folder of its weights' files; left out where none is in a file yet. */
  readonly dataFolder?: string | undefined;
  /** Whether it was translated to ONNX. */
  readonly isTranslation?: boolean | undefined;
  /** Takes what serves to find values that are not finite out of a run's outputs, and reports such values. */
  readonly outputsOf?: ((found: TensorMap) => TensorMap) | undefined;
  /** Closes the weights' files; a second call does nothing. */
  close(): Promise<void>;
}

/** Options of running a model in parts. */
export interface RunnableOptions {
  /** Core ML models: round each float16 result to float16 instead of computing in float32, so that overflow shows. */
  readonly roundToFloat16?: boolean;
  /** Called after a run with `roundToFloat16` with the first value that was not finite; masks of −∞ do not count. */
  readonly onNonFinite?: (found: NonFiniteValue) => void;
}

/** Options of loading a model. */
export interface RunnerOptions extends RunnableOptions {
  /** Spend time and memory on loading to run faster: worth it for many runs (drawing), not for a few. */
  readonly optimize: boolean;
  /** Changes to a text encoder in memory; its files stay as they are. */
  readonly textEncoder?: TextEncoderChanges;
}

/** Changes to a CLIP text encoder. */
export interface TextEncoderChanges {
  /** Additional token embeddings. */
  readonly moreTokens?: TokenRows;
  /** Adds the output `SKIPPED_STATES`. */
  readonly skipLayers?: {
    /** At least 1. */
    readonly count: number;
    /** Number of layers that are skipped anyway: Stable Diffusion XL reads the last layer but one. */
    readonly before: 0 | 1;
    /** Whether to apply the final layer norm. */
    readonly normalize: boolean;
  };
}

/** Token embeddings, row by row, for ids from `firstId` on. */
export interface TokenRows {
  readonly firstId: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** Name of the output [B,S,C] with the hidden states after skipping layers. */
export const SKIPPED_STATES = 'skipped_hidden_states';

/** A value inside a model that is infinite or NaN. */
export interface NonFiniteValue {
  /** The model. */
  readonly path: string;
  /** Its name in the model. */
  readonly value: string;
  /** The operation that gave it: `conv`. */
  readonly operation: string;
}

/** Passes on, as a note, where a model's first value that is not finite is. */
export function noteNonFinite({ onProgress }: Context): (found: NonFiniteValue) => void {
  return ({ path, value, operation }) =>
    onProgress?.({
      type: 'note',
      message: `in float16, ${value} (${operation}) is the first value of ${path} that is not finite.`,
    });
}
