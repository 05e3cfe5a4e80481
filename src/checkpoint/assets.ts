import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** `assets/` at the package's root: two folders up from here, and from `dist/js` that this is built into. */
const root = fileURLToPath(new URL('../../assets', import.meta.url));

/** The path of a file that comes with sdconvert: `assetPath('families', 'sd1', 'unet', 'config.json')`. */
export function assetPath(...names: readonly string[]): string {
  return join(root, ...names);
}

/** Padding token of a CLIP tokenizer; all CLIP tokenizers share one vocabulary. */
type Padding = 'pad-end-of-text' | 'pad-exclamation-mark';

/** The files of a CLIP tokenizer. */
export function tokenizerFiles(padding: Padding): readonly string[] {
  return [
    assetPath('tokenizers', 'merges.txt'),
    assetPath('tokenizers', padding, 'special_tokens_map.json'),
    assetPath('tokenizers', padding, 'tokenizer_config.json'),
    assetPath('tokenizers', 'vocab.json'),
  ];
}
