import { FileFormatError } from '../../../errors.ts';
import { openFile } from '../../../io/disk.ts';
import type { WeightFiles } from '../package/weight-blobs.ts';
import { programFunctions } from './mil-program.ts';
import type { FunctionDescription, ModelDescription, Program } from './mil-schema.ts';

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
  const main = mainFunctionOf(description, program);
  if (!main) throw new Error(`${path} has no functions, but was opened`);
  return main;
}

function mainFunctionOf({ defaultFunctionName }: ModelDescription, program: Program) {
  const functions = programFunctions(program);
  return functions.find(({ name }) => name === defaultFunctionName) ?? functions[0];
}

/** What a function takes and gives, and its states. */
type Features = Pick<FunctionDescription, 'input' | 'output' | 'state'>;

/**
 * Gives the features of a function by its name. A description that has none of its own for the main function is that function's; it is
 * nobody else's, or a program of many functions would have all of them as many times.
 */
export function featuresByFunction({
  description,
  program,
}: Pick<MilModel, 'description' | 'program'>): (name: string) => Features {
  const own = new Map(description.functions.map((each): [string, Features] => [each.name, each]));
  const main = mainFunctionOf(description, program)?.name;
  const none: Features = { input: [], output: [], state: [] };
  return (name) => own.get(name) ?? (name === main ? description : none);
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
