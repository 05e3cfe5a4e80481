import { checkArguments } from '../io/check-call.ts';
import { isDeviceName } from '../io/device-name.ts';
import { pictureFacts } from './call-schemas.ts';
/** What a picture's file name tells. */
export interface PictureFacts {
  readonly prompt: string;
  readonly seed: number;
  /** Number among several pictures of a prompt, from 0. */
  readonly index?: number | undefined;
  /** Tells it from others of the prompt: a scheduler, where several are compared. */
  readonly label?: string | undefined;
  /** How much of another picture was drawn anew. */
  readonly strength?: number | undefined;
  /** After which step; the last one when left out. */
  readonly step?: number | undefined;
}

/** So much of a prompt is in a name. */
const [CHARACTERS, BYTES] = [75, 180];

/**
 * The file name that Apple's StableDiffusionSample gives a picture: the prompt's first 75 characters, index, strength, seed,
 * step; characters that Windows does not allow in names become `_`.
 *
 * @example pictureName({ prompt: 'a red circle', seed: 7 }) // 'a_red_circle.7.final.png'
 */
export function pictureName(facts: PictureFacts): string {
  checkArguments('pictureName', { facts: [facts, pictureFacts] });
  const { prompt, seed, index, label, strength, step } = facts;
  return [
    wordsOf(prompt),
    ...(label === undefined ? [] : [label]),
    ...(index === undefined ? [] : [index]),
    ...(strength === undefined ? [] : [`str${Math.trunc(Math.fround(Math.fround(strength) * 100))}`]),
    seed,
    step ?? 'final',
    'png',
  ].join('.');
}

function wordsOf(prompt: string): string {
  const legal = [...prompt]
    .slice(0, CHARACTERS)
    .join('')
    .replaceAll(/[\s<>:"/\\|?*\p{Cc}\p{Cs}]/gu, '_');
  let words = '';
  for (const sign of legal) if (new TextEncoder().encode(words + sign).length <= BYTES) words += sign;
  // A name that begins with a dot is hidden.
  const named = words.replace(/^\.+/, (dots) => '_'.repeat(dots.length)) || '_';
  return isDeviceName(named) ? `_${named}` : named;
}
