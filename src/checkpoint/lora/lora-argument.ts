import { RequestError } from '../../errors.ts';

/** A LoRA, and the scale to merge it with. */
export interface LoraChoice {
  readonly path: string;
  /** 1 is the strength it was trained with, 0 changes nothing, and negative scales invert its effect. */
  readonly scale: number;
}

/**
 * Parses `FILE` or `FILE:SCALE`: `style.safetensors:0.7`; the default scale is 1. Names may have colons of their own: the
 * text after the last one is the scale where it is a number, or where it follows a file's ending. Throws `RequestError`
 * for a scale that is not a number and for a missing file name.
 *
 * @example parseLoraArgument('C:\\loras\\ink: v2.safetensors') // { path: 'C:\\loras\\ink: v2.safetensors', scale: 1 }
 */
export function parseLoraArgument(text: string): LoraChoice {
  const [, head = text, tail] = /^(.*):(.*)$/s.exec(text) ?? [];
  const scale = tail?.trim() ? Number(tail) : Number.NaN;
  const isScale = tail !== undefined && (Number.isFinite(scale) || (fileEnding.test(head) && !isFile(tail)));
  if (isScale && !Number.isFinite(scale)) {
    throw new RequestError({
      problem: `the scale of the LoRA ${head} is not a number.`,
      details: { expected: 'a number, such as 0.7', found: JSON.stringify(tail) },
      advice: `Write ${head}:0.7, or leave out the colon for a scale of 1.`,
    });
  }
  const path = isScale ? head : text;
  if (path === '') {
    throw new RequestError({
      problem: 'a LoRA has no file name.',
      details: { expected: 'FILE or FILE:SCALE', found: JSON.stringify(text) },
      advice: 'Write the path of the LoRA before the colon: style.safetensors:0.7.',
    });
  }
  return { path, scale: isScale ? scale : 1 };
}

const fileEnding = /\.(safetensors|ckpt|pt|pth|bin)$/i;

/** Whether what follows a colon goes on with a path, or ends a file's name. */
function isFile(text: string): boolean {
  return /[\\/]/.test(text) || fileEnding.test(text);
}
