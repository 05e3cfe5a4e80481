import type { SchedulerConfig } from '../generate/schedulers/create-scheduler.ts';

/**
 * `plan.json`: all that a page knows of its models before it loads one. `web` writes it, the page reads it; this file
 * holds types only, since both sides import it.
 */
export interface WebPlan {
  /** Name of the checkpoint. */
  readonly title: string;
  readonly unet: WebUnet;
  readonly latents: {
    readonly channels: number;
    /** Pixels per latent in each direction. */
    readonly pixels: number;
    /** Latents of the UNet are (those of the VAE − shift) · factor; with statistics of each channel, (those − mean) · factor / std. */
    readonly scale: {
      readonly factor: number;
      readonly shift: number;
      readonly mean?: readonly number[] | undefined;
      readonly std?: readonly number[] | undefined;
    };
  };
  /** Models by the network's name: `unet`, `vae_decoder`, `text_encoder`, … */
  readonly models: Readonly<Record<string, WebModel>>;
  /** Files of tokenizers (`WebTokenizer`) by the text encoder's name. */
  readonly tokenizers: Readonly<Record<string, WebFile>>;
  readonly scheduler: SchedulerConfig;
  /** Short names of schedulers that fit the models, the checkpoint's own first. */
  readonly schedulers: readonly string[];
  readonly zerosForEmptyPrompt: boolean;
  readonly memory: MemoryNeed;
  readonly demo?: WebDemo | undefined;
}

/** What the page needs to know of its UNet, as `DrawnUnet` has it. */
export interface WebUnet {
  readonly family: 'sd1' | 'sd2' | 'sdxl' | 'sdxl-refiner';
  /** Height and width of its latents. */
  readonly size: readonly [height: number, width: number];
  /** Number that the latents' height and width must be divisible by; left out when the size is fixed. */
  readonly multiple?: number | undefined;
  /** Number of prompt tokens that it takes; left out if any. */
  readonly tokens?: number | undefined;
  /** Width of `timestep_cond`, the embedding of the guidance scale (LCM). */
  readonly guidanceChannels?: number | undefined;
}

/** A file of the page's folder. */
export interface WebFile {
  /** Relative to the page. */
  readonly path: string;
  readonly byteLength: number;
  readonly sha256: string;
}

/** An ONNX model. */
export interface WebModel {
  readonly model: WebFile;
  /** Its external data, each file with the name that the model has for it. */
  readonly data: readonly (WebFile & { readonly name: string })[];
  /** Whether any weights are float16: without `shader-f16`, WebGPU does not run it. */
  readonly isFloat16: boolean;
}

/** Bytes that the browser needs at most, estimated from the weights (`memoryNeed`). */
export interface MemoryNeed {
  readonly wasm: number;
  readonly webGpu: number;
}

/** A picture that Node drew when the page was made. */
export interface WebDemo {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly picture: WebFile;
}

/** `ClipTokenizerFiles` as JSON. */
export interface WebTokenizer {
  readonly vocab: string;
  readonly merges: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly specialTokensMap?: Readonly<Record<string, unknown>>;
  readonly added: readonly (readonly [token: string, id: number])[];
}
