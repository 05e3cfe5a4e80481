import { FileFormatError } from '../../errors.ts';

/** The error for a file that begins like GGUF and breaks its rules; `what` completes "… is not a valid GGUF file: …". */
export function brokenGguf(
  file: string,
  what: string,
  details: Readonly<Record<string, string>> = {},
): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not a valid GGUF file: ${what}.`,
    details,
    advice:
      'It is damaged, or was written by a faulty tool: download it again, or get it from another source.',
  });
}
