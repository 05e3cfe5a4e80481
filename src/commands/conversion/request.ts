import type { ClientName } from '../../bundle/profiles/profile.ts';
import type { HubSource } from '../../checkpoint/checkpoint.ts';
import type { ModelSources } from '../../checkpoint/model-sources.ts';
import type { AttentionImplementation } from '../../convert/blocks/attention.ts';
import type { Sizes } from '../../convert/contracts/contract.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import type { PlannedFile } from '../../formats/artifact.ts';
import type { ArtifactId } from '../../formats/artifact-id.ts';
import type { Compiler } from '../../formats/coreml/compiled/compilers.ts';
import type { DeploymentTarget } from '../../formats/coreml/deployment-target.ts';
import { defaultTargets, type TargetName } from '../../formats/format.ts';
import type { QuantizationOptions } from '../../quantize/plan.ts';
import type { Precision } from '../../quantize/precision.ts';
import type { RunBounds } from '../../validate/bounded-runs.ts';
import type { Verdict } from '../../validate/verdict.ts';
import type { WeightFinding } from '../../weights/examined-weight.ts';
import type { OptionsOf } from '../options.ts';
import type { MemoryNeed } from './memory.ts';
import type { PlannedTwin } from './twins.ts';

/** The checkpoint to convert, and how; `convertDefaults` has the defaults. */
export interface ConvertRequest extends ModelSources, RunBounds {
  /** Output folder; `./<name of the checkpoint>`, without the organisation, when left out. */
  readonly output?: string | undefined;
  readonly targets: readonly TargetName[];
  /** Clients to write for; those of `usualClients` for targets without one. */
  readonly clients?: readonly ClientName[] | undefined;
  /** Attention implementation for all targets; each target's default when left out. */
  readonly attention?: AttentionImplementation | undefined;
  /**
   * Networks to convert; all of the checkpoint's when left out. `text_encoder` means both of Stable Diffusion XL's, `unet`
   * the UNet in the requested form and the refiner's. Named ControlNets are always converted.
   */
  readonly models?: readonly NetworkName[] | undefined;
  /** Networks to leave out, named in the same way. */
  readonly without?: readonly NetworkName[] | undefined;
  /** Whether the UNet takes a ControlNet's residuals: `control-unet` instead of `unet`. */
  readonly controlledUnet?: boolean | undefined;
  readonly precision: Precision;
  /** Bytes of weights that no chunk of the UNet may exceed; the UNet stays whole when left out. */
  readonly maxChunkBytes?: number | undefined;
  readonly sizes: Sizes;
  /** Oldest system that must load the Core ML packages. */
  readonly deployment: DeploymentTarget;
  /** Lowest PSNR against the float32 reference that passes, in dB; not checked when left out. */
  readonly minPsnr?: number | undefined;
  /** Whether to add the files that consumers load next to the models. */
  readonly bundle: boolean;
  /** Compiler of the Core ML packages for `Resources`. */
  readonly compiler: Compiler;
  /** How to quantise weights; not quantised when left out. */
  readonly quantization?: QuantizationOptions | undefined;
  /** Whether to write weights that are NaN or infinite, or become so in float16, instead of refusing them. */
  readonly allowNonFinite: boolean;
  /** Whether to replace existing results. */
  readonly force: boolean;
  /** Whether to check the SHA-256 of every result before it is reused, instead of only those modified since. */
  readonly verify: boolean;
  /** Whether to stop before anything is written. */
  readonly dryRun: boolean;
}

/** Defaults of a conversion. */
export const convertDefaults = {
  targets: defaultTargets,
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

/** Options of a conversion; only `modelVersion` is required. */
export type ConvertOptions = OptionsOf<ConvertRequest, typeof convertDefaults>;

/** Result of a conversion; with `dryRun`, of the plan. */
export interface ConvertResult {
  readonly output: string;
  readonly artifacts: readonly ConvertedArtifact[];
  /** Bundled files for consumers, by path relative to the output. */
  readonly bundled: readonly string[];
  readonly verdicts: readonly Verdict[];
  /** Memory that the conversion would need; only with `dryRun`. */
  readonly memory?: MemoryNeed | undefined;
  /** Of a dry run: what would be downloaded, and what of it is in the cache. */
  readonly downloads?: readonly HubSource[] | undefined;
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
  /** The client that it has a form of its own for; absent where it has its target's. */
  readonly client?: string | undefined;
  /** Another artifact with the same weights, which are on the disk once. */
  readonly twin?: PlannedTwin | undefined;
  /** Whether an earlier run's artifact is reused. */
  readonly kept: boolean;
  /** Problems with its weights; absent if there are none, or if they were not read. */
  readonly findings?: readonly WeightFinding[] | undefined;
}
