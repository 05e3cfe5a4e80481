import { basename } from 'node:path';
import { fewBitTypes } from '../../weights/few-bits.ts';
import type { WeightFile } from '../../weights/tensors-of-file.ts';
import { leftOverNote } from './left-over.ts';

/** Notes on missing networks, other contents of a file, and weights stored in few bits, a sentence each. */
export function notesOnFile(
  { path, weights, unknownClasses = [] }: WeightFile,
  found: {
    readonly missing: readonly string[];
    readonly beside: readonly string[];
    readonly hasControlNet: boolean;
  },
): string[] {
  const { missing, beside, hasControlNet } = found;
  const notes: string[] = [];
  const fewBits = fewBitTypes(weights.values());
  if (fewBits.length > 0)
    notes.push(
      `Weights are stored as ${fewBits.join(', ')}: pictures differ from those of the float16 model.`,
    );
  if (missing.length > 0)
    notes.push(`${basename(path)} has no ${missing.join(' and no ')}: the rest is converted.`);
  if (beside.length > 0) notes.push(leftOverNote(path, beside));
  if (unknownClasses.length > 0) {
    const more = unknownClasses.length > 4 ? ` and ${unknownClasses.length - 4} more classes` : '';
    notes.push(
      `${basename(path)} also holds objects of ${unknownClasses.slice(0, 4).join(', ')}${more}: the tensors are read, the objects are ignored and were not created.`,
    );
  }
  if (hasControlNet)
    notes.push('The file also holds a ControlNet: name the file with --convert-controlnet to convert it.');
  return notes;
}
