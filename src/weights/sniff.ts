/** What a file turned out to be when it is not what its name says, and what to do about it. */
export interface Finding {
  /** Completes the sentence "x.safetensors is …". */
  readonly what: string;
  readonly advice: string;
}

/** Recognises what people have in hand instead of a weight file, by its first bytes (128 are enough). */
export function sniff(start: Uint8Array): Finding | undefined {
  const text = new TextDecoder('latin1').decode(start);
  return findings.find(({ matches }) => matches(text, start));
}

const findings: readonly (Finding & { matches(text: string, bytes: Uint8Array): boolean })[] = [
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
    what: 'a zip archive, as PyTorch writes .ckpt, .pt and .bin files, and these are not supported yet',
    advice: 'Use the .safetensors of the same model.',
  },
  {
    matches: (_text, [first, protocol = 0]) => first === 0x80 && protocol >= 2 && protocol <= 5,
    what: 'a Python pickle, as in old .ckpt and .bin files, and these are not supported yet',
    advice: 'Use the .safetensors of the same model.',
  },
  {
    matches: (text) => text.startsWith('GGUF'),
    what: 'a GGUF file, which is not supported',
    advice: 'Use the .safetensors that it was made from.',
  },
];
