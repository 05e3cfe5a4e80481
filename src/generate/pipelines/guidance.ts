import { checkArguments, number } from '../../io/check-call.ts';
/** How a UNet's predictions for several rows are combined into one. */
export interface Guidance {
  /** Text of each row of the UNet's batch. */
  readonly rows: readonly ('prompt' | 'negative prompt')[];
  /** Combines the predictions of the rows. */
  readonly combine: (predictions: readonly Float32Array[]) => Float32Array;
}

/** No guidance: only the prompt. */
export const unguided: Guidance = { rows: ['prompt'], combine: ([only = new Float32Array()]) => only };

/** Classifier-free guidance, uncond + scale·(text − uncond) (Ho & Salimans 2022, eq. 6). */
export function classifierFree(scale: number): Guidance {
  checkArguments('classifierFree', { scale: [scale, number] });
  return {
    rows: ['negative prompt', 'prompt'],
    combine: ([uncond = new Float32Array(), text = new Float32Array()]) =>
      uncond.map((value, i) => value + Math.fround(scale * Math.fround((text[i] ?? 0) - value))),
  };
}

/**
 * Guidance of InstructPix2Pix with a scale each for text and image, uncond + scale·(text − image) + imageScale·(image −
 * uncond) (Brooks et al. 2023, eq. 3). Rows: text and image, image only, neither.
 */
export function imageAndPrompt(scale: number, imageScale: number): Guidance {
  checkArguments('imageAndPrompt', { scale: [scale, number], imageScale: [imageScale, number] });
  return {
    rows: ['prompt', 'negative prompt', 'negative prompt'],
    combine: ([text = new Float32Array(), image = new Float32Array(), uncond = new Float32Array()]) =>
      uncond.map((value, i) => {
        const withImage = image[i] ?? 0;
        const toPrompt = Math.fround(scale * Math.fround((text[i] ?? 0) - withImage));
        const toImage = Math.fround(imageScale * Math.fround(withImage - value));
        return Math.fround(value + toPrompt) + toImage;
      }),
  };
}
