import { RequestError } from '../../errors.ts';

/** A LoRA, and the scale to merge it with. */
export interface LoraChoice {
  readonly path: string;
  /** 1 is the strength it was trained with, 0 changes nothing, and negative scales invert its effect. */
  readonly scale: number;
}

/**
 * Parses `FILE` or `FILE:SCALE`: `style.safetensors:0.7`; the default scale is 1. The text after the last colon is the
 * scale unless it looks like a path: `C:\style.safetensors` has no scale. Throws `RequestError` for a scale that is not
 * a number and for a missing file name.
 */
export function parseLoraArgument(text: string): LoraChoice {
  const colon = text.lastIndexOf(':');
  const tail = text.slice(colon + 1);
  const isPath = colon < 0 || (colon === 1 && /^[A-Za-z]:[\\/]/.test(text)) || /[\\/]/.test(tail);
  const path = isPath ? text : text.slice(0, colon);
  const scale = isPath ? 1 : Number(tail);
  if (!isPath && (tail.trim() === '' || !Number.isFinite(scale))) {
    throw new RequestError({
      problem: `the scale of the LoRA ${path} is not a number.`,
      details: { expected: 'a number, such as 0.7', found: JSON.stringify(tail) },
      advice: `Write ${path || 'FILE'}:0.7, or leave out the colon for a scale of 1.`,
    });
  }
  if (path === '') {
    throw new RequestError({
      problem: 'a LoRA has no file name.',
      details: { expected: 'FILE or FILE:SCALE', found: JSON.stringify(text) },
      advice: 'Write the path of the LoRA before the colon: style.safetensors:0.7.',
    });
  }
  return { path, scale };
}
