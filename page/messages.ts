import type { WebPlan } from '../src/web/web-plan.ts';

/** What the page and its worker tell each other. */

/** A picture to draw. */
export interface DrawRequest {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly seed: number;
  /** Short name. */
  readonly scheduler: string;
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  /** Picture to start from, of the size to draw. */
  readonly start?: { readonly image: Pixels; readonly strength: number } | undefined;
  /** Whether to decode the latents after each step. */
  readonly showsSteps: boolean;
}

/** 8-bit pixels, row by row. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What runs the models. */
export interface Device {
  readonly kind: 'webgpu' | 'wasm';
  readonly threads: number;
}

export type ToWorker =
  | { readonly type: 'open'; readonly plan: WebPlan; readonly wanted: 'wasm' | 'webgpu' | undefined }
  | { readonly type: 'draw'; readonly request: DrawRequest }
  | { readonly type: 'stop' }
  | { readonly type: 'forget' };

export type FromWorker =
  /** With what the user should know of the device, a sentence each. */
  | { readonly type: 'opened'; readonly device: Device; readonly notes: readonly string[] }
  /** One sentence that the user should know. */
  | { readonly type: 'note'; readonly text: string }
  | {
      readonly type: 'progress';
      readonly what: string;
      readonly done: number;
      readonly total: number;
      readonly unit: 'bytes' | 'steps';
    }
  | { readonly type: 'step'; readonly step: number; readonly picture: Pixels }
  | {
      readonly type: 'drawn';
      readonly picture: Pixels;
      readonly request: DrawRequest;
      readonly secondsPerStep: number;
      /** Distance from the picture that Node drew, in dB; only for the demo. */
      readonly psnr: number | undefined;
    }
  | { readonly type: 'forgotten' }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly text: string };
