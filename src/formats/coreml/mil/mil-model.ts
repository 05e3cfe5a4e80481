import { FileFormatError } from '../../../errors.ts';
import { openFile } from '../../../io/disk.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';
import { programFunctions } from './mil-program.ts';
import type { ModelDescription, Program } from './mil-schema.ts';

/** An ML Program that was opened, from a package or a compiled bundle: all of it but the weights is in memory, and was checked. */
export interface MilModel {
  /** The package or bundle. */
  readonly path: string;
  readonly specificationVersion: number;
  readonly description: ModelDescription;
  /** The description as it is in the file. */
  readonly descriptionBytes: Uint8Array;
  readonly program: Program;
  readonly weights: WeightFiles;
  close(): Promise<void>;
}

/** The function that runs unless another is asked for. */
export function mainFunction({
  path,
  description,
  program,
}: MilModel): ReturnType<typeof programFunctions>[number] {
  const functions = programFunctions(program);
  const main = functions.find(({ name }) => name === description.defaultFunctionName) ?? functions[0];
  if (!main) throw new Error(`${path} has no functions, but was opened`);
  return main;
}

/** More than any program needs: weights are not in it, and the largest known ones have a tenth of this. */
const LARGEST_FILE = 1 << 28;

/** All bytes of a file that describes a model. Throws `NotFoundError`, or `FileFormatError` when it is absurdly large. */
export async function readDescribingFile(path: string): Promise<Uint8Array> {
  const file = await openFile(path);
  try {
    if (file.size > LARGEST_FILE) {
      throw new FileFormatError({
        problem: `${path} is too large to be what its name says.`,
        details: {
          expected: `at most ${LARGEST_FILE.toLocaleString('en-US')} bytes`,
          found: `${file.size.toLocaleString('en-US')} bytes`,
        },
        advice: 'ML Programs have their weights in a file of their own. Check that it is the right file.',
      });
    }
    const bytes = new Uint8Array(file.size);
    await file.read(bytes, 0);
    return bytes;
  } finally {
    await file.close();
  }
}
