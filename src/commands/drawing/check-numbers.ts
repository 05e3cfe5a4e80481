import { RequestError } from '../../errors.ts';
import type { GenerateRequest } from './request.ts';

/** Pictures of a prompt and a seed: all are drawn side by side. */
const MOST_PICTURES = 1000;

/** Beyond it no model draws, and far beyond it float32 has no numbers. */
const LARGEST_FACTOR = 1000;

/** Pixels of a side of the picture that XL is told. */
const LARGEST_SIDE = 1e6;

/** Throws `RequestError` for numbers with which nothing could be drawn, or that would take memory without end. */
export function checkNumbers(request: GenerateRequest): void {
  const { imageCount, guidanceScale, imageGuidanceScale = 1, controlnets, crop, originalSize = [] } = request;
  if (!(Number.isInteger(imageCount) && imageCount >= 1 && imageCount <= MOST_PICTURES))
    throw outOf('--image-count', imageCount, `a whole number from 1 to ${MOST_PICTURES}`);
  const factors = [
    ['--guidance-scale', guidanceScale],
    ['--image-guidance-scale', imageGuidanceScale],
    ...controlnets.map(({ scale = 1 }) => ['--controlnet-scale', scale] as const),
  ] as const;
  for (const [option, factor] of factors)
    if (!(Math.abs(factor) <= LARGEST_FACTOR))
      throw outOf(option, factor, `a number from −${LARGEST_FACTOR} to ${LARGEST_FACTOR}`);
  for (const [option, sides] of [['--crop', crop] as const, ['--original-size', originalSize] as const])
    for (const side of sides)
      if (!(Math.abs(side) <= LARGEST_SIDE)) throw outOf(option, side, `at most ${LARGEST_SIDE} pixels`);
}

function outOf(option: string, found: number, expected: string): RequestError {
  return new RequestError({
    problem: `${option} ${found} is out of range.`,
    details: { expected },
    advice: 'Give another number, or leave it out.',
  });
}
