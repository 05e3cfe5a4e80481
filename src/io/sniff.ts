/** Content recognised in a file with a wrong name, and advice. */
export interface Finding {
  /** Completes the sentence "x.safetensors is …". */
  readonly what: string;
  readonly advice: string;
}

/** A format that weights are read from. */
export type WeightFormat = 'safetensors' | 'torch-zip' | 'torch-legacy' | 'gguf';

/** The format of a file of weights, by its first bytes (9 are enough); `undefined` when it is none. */
export function weightFormat(start: Uint8Array): WeightFormat | undefined {
  // First, because a header of 640 bytes begins with the bytes of a pickle: its length is 80 02 00 00 00 00 00 00.
  if (start[8] === 0x7b /* { */ && start.subarray(4, 8).every((byte) => byte === 0)) return 'safetensors';
  if (start[0] === 0x50 && start[1] === 0x4b && start[2] === 3 && start[3] === 4) return 'torch-zip';
  if (new TextDecoder('latin1').decode(start.subarray(0, 4)) === 'GGUF') return 'gguf';
  const [first, protocol = 0] = start;
  return first === 0x80 && protocol >= 2 && protocol <= 5 ? 'torch-legacy' : undefined;
}

/** Recognises what people have in hand instead of the file that is needed, by its first bytes (512 are enough). */
export function sniff(start: Uint8Array): Finding | undefined {
  const text = new TextDecoder('latin1').decode(start);
  return findings.find(({ matches }) => matches(text, start));
}

/** Recognised contents; the first match counts. */
export const findings: readonly (Finding & { matches(text: string, bytes: Uint8Array): boolean })[] = [
  {
    matches: (text) => text.startsWith('version https://git-lfs'),
    what: 'a Git-LFS pointer, not the weights themselves',
    advice: 'Run `git lfs pull` in the cloned repository, or download the file itself.',
  },
  {
    matches: (text) => /^\s*<(!doctype|html|head|body|\?xml)/i.test(text),
    what: 'a web page, not a weight file',
    advice: 'The link was wrong, or the download needs a token: download it again.',
  },
  {
    matches: (text) => text.startsWith('PK\x03\x04'),
    what: 'a zip archive, as PyTorch writes .ckpt, .pt and .bin files',
    advice: 'Check that it is the right file.',
  },
  {
    matches: (_text, bytes) => weightFormat(bytes) === 'torch-legacy',
    what: 'a Python pickle, as in old .ckpt and .bin files',
    advice: 'Check that it is the right file.',
  },
  {
    matches: (text) => text.slice(257, 262) === 'ustar',
    what: 'a tar archive, as PyTorch wrote its files before 0.4, which is not supported',
    advice: 'Open it with PyTorch and save it again, or use the .safetensors of the same model.',
  },
  {
    matches: (text) => text.startsWith('GGUF'),
    what: 'a GGUF file',
    advice: 'Check that it is the right file.',
  },
];
