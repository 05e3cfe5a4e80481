import type { FromHub } from '../../checkpoint/from-hub/locate-requested.ts';
import type { OnStep } from '../../generate/pipelines/denoise.ts';
import type { TextualInversionChoice } from '../../generate/prompt/read-textual-inversion.ts';
import type { RngKind } from '../../random/random.ts';
import type { OptionsOf } from '../options.ts';

/** Pictures to generate, and the models to use. */
export interface GenerateRequest extends FromHub {
  /** A conversion's output folder, its `onnx` or `Resources`, a folder of packages, or a ready-made repository. */
  readonly input: string;
  /** Folder for the pictures. */
  readonly output: string;
  /** One or several; each is drawn with each seed as if it were alone. */
  readonly prompt: string | readonly string[];
  /** Empty when left out; Stable Diffusion XL then gets zeros as embeddings if `force_zeros_for_empty_prompt` is set. */
  readonly negativePrompt?: string | undefined;
  /** One or several; random when left out, and reported in a note. */
  readonly seed?: number | readonly number[] | undefined;
  readonly steps: number;
  /** 1 or less turns classifier-free guidance off, at half the cost. A UNet with distilled guidance (LCM) takes it as an input. */
  readonly guidanceScale: number;
  /** Name of a scheduler, as `schedulerCalled` accepts it; the checkpoint's own when left out. */
  readonly scheduler?: string | undefined;
  /** Names of schedulers to compare: each draws the prompt with the same seed, and a sheet shows the pictures side by side. */
  readonly compareSchedulers: readonly string[];
  readonly rng: RngKind;
  readonly imageCount: number;
  /** Size of the pictures in pixels. Default: that of `image`, else the size of the model. */
  readonly height?: number | undefined;
  readonly width?: number | undefined;
  /** PNG to start from instead of pure noise; for pix2pix, to edit. It must have the size of the pictures. */
  readonly image?: string | undefined;
  /** Share of the steps that redraw `image`: above 0, at most 1. Default: 0.5; with `mask` 1. Not for pix2pix. */
  readonly strength?: number | undefined;
  /** PNG that is white where `image` is redrawn, of the same size. */
  readonly mask?: string | undefined;
  /** Image guidance scale of pix2pix, 1.5 by default; below 1 turns guidance off. */
  readonly imageGuidanceScale?: number | undefined;
  readonly controlnets: readonly ControlNetRequest[];
  /** Share of the timesteps before the refiner takes over: above 0, below 1. Default: no refiner. */
  readonly refinerStart?: number | undefined;
  /** `original_size` of Stable Diffusion XL's size conditioning, in pixels; the size of the picture when left out. */
  readonly originalSize?: readonly [height: number, width: number] | undefined;
  /** `crops_coords_top_left` of Stable Diffusion XL's size conditioning, in pixels. */
  readonly crop: readonly [top: number, left: number];
  /** Number of text encoder layers to skip for the prompt, as diffusers' `clip_skip`. */
  readonly clipSkip: number;
  /** Whether prompts may have more than 75 tokens; otherwise the rest is cut off, with a note. */
  readonly longPrompts: boolean;
  /** Whether `(word:1.2)` and `[word]` in prompts are weights (`readPromptWeights`). */
  readonly promptWeights: boolean;
  /** Textual inversions to use in prompts. */
  readonly textualInversions: readonly TextualInversionChoice[];
  /** Number of steps after which the pictures are saved as they are then; 0: only when they are done. */
  readonly saveEvery: number;
  /** Whether to write all pictures on one sheet, too. */
  readonly grid: boolean;
  /** Whether to leave the safety checker out, which otherwise blackens pictures, if the folder has one. */
  readonly disableSafety: boolean;
  /** Whether the VAE runs on tiles of the size it was trained on, as after diffusers' `enable_vae_tiling`. */
  readonly vaeTiling: boolean;
  /** Whether to keep weights in their files, mapped, and close networks after each use: slower. */
  readonly reduceMemory: boolean;
  /** Called with the latents of every picture after each step. */
  readonly onStep?: OnStep | undefined;
}

/** A ControlNet to use. */
export interface ControlNetRequest {
  /** File name, id it was converted from, name in Swift, or path. */
  readonly name: string;
  /** PNG of its conditioning image (edges, depth, a pose), of the size of the pictures. */
  readonly image: string;
  /** Factor for its residuals, 1 by default. */
  readonly scale?: number | undefined;
  /** First and last step it applies to, as shares of all steps. Default: 0 and 1. */
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/** Defaults of `generate`. */
export const generateDefaults = {
  output: '.',
  steps: 50,
  guidanceScale: 7.5,
  rng: 'numpy',
  imageCount: 1,
  controlnets: [],
  crop: [0, 0],
  clipSkip: 0,
  longPrompts: false,
  promptWeights: false,
  textualInversions: [],
  compareSchedulers: [],
  saveEvery: 0,
  grid: false,
  disableSafety: false,
  vaeTiling: false,
  reduceMemory: false,
} as const satisfies Partial<GenerateRequest>;

/** Options of `generate`; only `input` and `prompt` are required. */
export type GenerateOptions = OptionsOf<GenerateRequest, typeof generateDefaults>;
