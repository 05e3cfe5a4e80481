import type { HubOptions } from '../hub/hub-options.ts';
import type { Variant } from './component-weights.ts';
import type { LoraChoice } from './lora/lora-argument.ts';
import type { PredictionType } from './single-file/prediction.ts';

/** The models of a conversion. Each name is a path, or an id on the Hub where there is no such path. */
export interface ModelSources {
  /** The checkpoint: a diffusers folder, a single file, or `org/name` on the Hub. */
  readonly modelVersion: string;
  /** The checkpoint of the refiner. */
  readonly refinerVersion?: string | undefined;
  /** A VAE that replaces the checkpoint's. */
  readonly customVaeVersion?: string | undefined;
  readonly controlnets?: readonly string[] | undefined;
  /** LoRAs, merged in this order. */
  readonly loras?: readonly LoraChoice[] | undefined;
  /** Variant of the weight files, where there are several. */
  readonly variant?: Variant | undefined;
  /** Prediction type of the UNet, where the checkpoint lacks it or has a wrong one. */
  readonly predictionType?: PredictionType | undefined;
  /** Whether tensors outside of the networks, and parts of LoRAs that do not fit, are refused instead of ignored. */
  readonly strict?: boolean | undefined;
  /** Address, cache and revision (of the checkpoint) on the Hub; default: the public Hub and the usual cache. */
  readonly hub?: HubOptions | undefined;
}
