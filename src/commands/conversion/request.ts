import type { ModelSources } from '../../checkpoint/open-models.ts';
import type { AttentionImplementation } from '../../convert/blocks/attention.ts';
import type { Sizes } from '../../convert/contracts/contract.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import type { PlannedFile } from '../../formats/artifact.ts';
import type { ArtifactId } from '../../formats/artifact-id.ts';
import type { Compiler } from '../../formats/coreml/compiled/compilers.ts';
import type { DeploymentTarget } from '../../formats/coreml/deployment-target.ts';
import { type TargetName, targetNames } from '../../formats/format.ts';
import type { QuantizationOptions } from '../../quantize/plan.ts';
import type { Precision } from '../../quantize/precision.ts';
import type { Verdict } from '../../validate/verdict.ts';
import type { WeightFinding } from '../../weights/examined-weight.ts';
import type { OptionsOf } from '../options.ts';
import type { MemoryNeed } from './memory.ts';

/** What to convert, and how; `convertDefaults` fills in what is left out. */
export interface ConvertRequest extends ModelSources {
  /** Where the artifacts go; `./<name of the checkpoint>`, without the organisation, when left out. */
  readonly output?: string | undefined;
  readonly targets: readonly TargetName[];
  /** One attention for all targets; each target's own choice when left out. */
  readonly attention?: AttentionImplementation | undefined;
  /**
   * Which networks; all that the checkpoint has when left out. `text_encoder` stands for both of Stable Diffusion XL's,
   * `unet` for the UNet in the form that is asked for and for the refiner's; the ControlNets that are named always come.
   */
  readonly models?: readonly NetworkName[] | undefined;
  /** Networks that are left out, named in the same way. */
  readonly without?: readonly NetworkName[] | undefined;
  /** Whether the UNet is to take a ControlNet's residuals: `control-unet` instead of `unet`. */
  readonly controlledUnet?: boolean | undefined;
  readonly precision: Precision;
  /** Bytes of weights that no chunk of the UNet may exceed; the UNet stays whole when left out. */
  readonly maxChunkBytes?: number | undefined;
  readonly sizes: Sizes;
  /** The oldest system that is to load Core ML packages. */
  readonly deployment: DeploymentTarget;
  /** Lowest PSNR in dB against the float32 reference that passes; not checked when left out. */
  readonly minPsnr?: number | undefined;
  /** Whether to complete the folder for its consumers. */
  readonly bundle: boolean;
  /** Who compiles Core ML packages for `Resources`. */
  readonly compiler: Compiler;
  /** Weights with fewer bits; as `precision` says when left out. */
  readonly quantization?: QuantizationOptions | undefined;
  /** Whether weights that are NaN or infinite, or become so in float16, are kept; else they are refused. */
  readonly allowNonFinite: boolean;
  /** Whether to replace what is there. */
  readonly force: boolean;
  /** Whether to compare the SHA-256 of every existing result that would be reused; else only of those changed since. */
  readonly verify: boolean;
  /** Whether to stop before anything is written. */
  readonly dryRun: boolean;
}

/** What a conversion does when nothing else is asked for. */
export const convertDefaults = {
  targets: targetNames,
  precision: 'float16',
  sizes: {},
  deployment: 'macOS13',
  compiler: 'own',
  bundle: true,
  allowNonFinite: false,
  force: false,
  verify: false,
  dryRun: false,
} as const satisfies Partial<ConvertRequest>;

/** A conversion's options; only `modelVersion` is needed. */
export type ConvertOptions = OptionsOf<ConvertRequest, typeof convertDefaults>;

/** What a conversion did, or with `dryRun` would do. */
export interface ConvertResult {
  readonly output: string;
  readonly artifacts: readonly ConvertedArtifact[];
  /** What completes the folder for its consumers, relative to the output. */
  readonly bundled: readonly string[];
  readonly verdicts: readonly Verdict[];
  /** Of a dry run: how much memory the conversion would take. */
  readonly memory?: MemoryNeed | undefined;
}

/** One artifact of a conversion. */
export interface ConvertedArtifact {
  readonly target: TargetName;
  readonly id: ArtifactId;
  /** Its name: `unet_chunk1`. */
  readonly name: string;
  /** Its folder, relative to the output. */
  readonly path: string;
  readonly model: NetworkName;
  readonly files: readonly PlannedFile[];
  /** Whether an earlier run's was kept. */
  readonly kept: boolean;
  /** What is wrong with its weights; absent when nothing is, and before they are read. */
  readonly findings?: readonly WeightFinding[] | undefined;
}
