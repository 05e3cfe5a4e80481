import { FileFormatError } from '../../errors.ts';

/** The error for a PyTorch file that breaks its format's rules: `what` completes "x is not a valid PyTorch file: …". */
export function brokenTorchFile(
  file: string,
  what: string,
  details: Readonly<Record<string, string>> = {},
): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not a valid PyTorch file: ${what}.`,
    details,
    advice:
      'Nothing in it was run. It is damaged or was made by a faulty tool: download it again, or get it from another source.',
  });
}
