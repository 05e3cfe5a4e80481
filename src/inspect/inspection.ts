import type { LoraFacts } from '../checkpoint/lora/describe-lora.ts';
import type { NetworkName } from '../convert/networks/networks.ts';

import type { DeclaredValue } from '../formats/artifact.ts';
import type { Format, OwnFacts } from '../formats/format.ts';
import type { FileSize } from '../io/file-sizes.ts';
import type { JsonObject } from '../io/json/python-json.ts';
import type { WeightFinding } from '../weights/examined-weight.ts';
import type { WeightGroup } from '../weights/weight-groups.ts';

/** Result of `inspect`: plain data, which can be printed as JSON. Unknown facts are `null`. */
export type Inspection =
  | CheckpointInspection
  | WeightsInspection
  | { readonly [F in Format]: ModelInspection<F> }[Format]
  | ArtifactsInspection
  | PictureInspection
  | OtherInspection;

/** Facts of every inspection. */
interface Found {
  readonly path: string;
  /** Problems, a sentence each. */
  readonly problems: readonly string[];
  /** The command to run next (`where` says what is in CAPITALS in it), or what to do where no command helps. */
  readonly next: { readonly command: string; readonly where?: string } | { readonly advice: string };
}

/** A checkpoint: a diffusers folder or a single file. */
export interface CheckpointInspection extends Found {
  readonly kind: 'checkpoint';
  readonly format: 'diffusers folder' | WeightsInspection['format'];
  /** The pipeline's class in model_index.json. */
  readonly pipeline: string | null;
  /** In words: `Stable Diffusion 1.x`. */
  readonly family: string | null;
  /** Task that the UNet was trained for, in words. */
  readonly task: string | null;
  /** Prediction of the UNet: `epsilon`, `v_prediction`, … */
  readonly predictionType: string | null;
  readonly scheduler: string | null;
  /** Schedulers that can replace it, by their short names. */
  readonly compatibleSchedulers: readonly string[];
  /** Height and width of the latents that the UNet was trained on. */
  readonly latentSize: readonly [height: number, width: number] | null;
  /** Size in pixels. */
  readonly pictureSize: readonly [height: number, width: number] | null;
  readonly components: readonly ComponentInspection[];
  /** Other sets of weights that can be chosen with --variant. */
  readonly variants: readonly string[];
  readonly networks: readonly NetworkInspection[];
  /** Components in model_index.json that the folder lacks. */
  readonly missing: readonly string[];
  /** Notes on what conversions assume or ignore, a sentence each. */
  readonly notes: readonly string[];
}

/** A component that has weights. */
export interface ComponentInspection {
  readonly name: string;
  readonly className: string;
  readonly tensors: number;
  readonly parameters: number;
  readonly byteLength: number;
  readonly weights: readonly WeightGroup[];
}

/** Whether a network's graph can be built from its header and config. */
export interface NetworkInspection {
  readonly name: NetworkName;
  /** Reason for which it cannot be built; `null` when it can. */
  readonly problem: string | null;
}

/** A file of tensors that is no checkpoint, or the folder of a component. */
export interface WeightsInspection extends Found {
  readonly kind: 'weights';
  readonly format: 'safetensors' | 'PyTorch' | 'GGUF';
  /** Completes the sentence "x is …". */
  readonly what: string;
  /** The class in the config beside it. */
  readonly className: string | null;
  readonly family: string | null;
  /** Facts of a LoRA; `null` for other weights. */
  readonly lora: LoraFacts | null;
  readonly files: readonly FileSize[];
  readonly tensors: number;
  readonly parameters: number;
  readonly byteLength: number;
  readonly weights: readonly WeightGroup[];
  /** All tensors when they are few, as in a recording; else none. */
  readonly values: readonly DeclaredValue[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** A model in one of the formats. */
export type ModelInspection<F extends Format = Format> = CommonFacts<F> & OwnFacts[F];

/** Facts that models of all formats have. */
export interface CommonFacts<F extends Format> extends Found {
  readonly kind: F;
  /** Network of Stable Diffusion, by its inputs. */
  readonly network: string | null;
  /** `1 of 2` for a chunk. */
  readonly chunk: string | null;
  readonly inputs: readonly DeclaredValue[];
  readonly outputs: readonly DeclaredValue[];
  /** Number of operations of each type, the most frequent first. */
  readonly operations: Readonly<Record<string, number>>;
  readonly weights: readonly WeightGroup[];
  readonly files: readonly FileSize[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** A folder of converted models. */
export interface ArtifactsInspection extends Found {
  readonly kind: 'artifacts';
  /** The version of sdconvert that wrote it, if it says so. */
  readonly sdconvert: string | null;
  /** Class of the scheduler that its pictures are drawn with, if the folder says it. */
  readonly scheduler: string | null;
  /** Schedulers that can replace it, by their short names. */
  readonly compatibleSchedulers: readonly string[];
  readonly artifacts: readonly ArtifactInspection[];
}

export interface ArtifactInspection {
  /** Relative to the folder. */
  readonly path: string;
  readonly format: Format;
  readonly byteLength: number;
  /** The options it was made with, if they are recorded. */
  readonly options: JsonObject | null;
  /** What was found wrong with its weights when it was made; absent when nothing was. */
  readonly findings?: readonly WeightFinding[] | undefined;
}

/** A PNG picture. */
export interface PictureInspection extends Found {
  readonly kind: 'picture';
  readonly width: number;
  readonly height: number;
  /** Texts in the file by keyword: `parameters` says how it was drawn. */
  readonly texts: Readonly<Record<string, string>>;
}

/** Anything else: `problems` say what it is, `next` what to do. */
export interface OtherInspection extends Found {
  readonly kind: 'other';
  readonly details: Readonly<Record<string, string>>;
}
