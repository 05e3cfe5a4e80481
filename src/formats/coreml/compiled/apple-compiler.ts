import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { throwIfInterrupted } from '../../../context.ts';
import { NotFoundError, UnsupportedModelError } from '../../../errors.ts';
import { createFolder } from '../../../io/create-folders.ts';
import { listFolder, movePath, removePath } from '../../../io/disk.ts';
import { linkFolder } from '../../../io/link-folder.ts';
import { endings, formatOfEnding, modelName } from '../../format.ts';

/**
 * Compiles a package with Apple's own compiler, which comes with Xcode; the bundle appears under `bundlePath` when it is
 * complete. Throws `NotFoundError` where there is no such compiler, `UnsupportedModelError` with its words when it refuses,
 * `InterruptedError` when `signal` aborts it.
 */
export async function compileWithApple(
  packagePath: string,
  bundlePath: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const isNamed = formatOfEnding(packagePath) === 'mlpackage';
  await createFolder(bundlePath, async (folder) => {
    const name = modelName(packagePath);
    // It takes only paths that end in .mlpackage.
    const source = isNamed ? packagePath : join(folder, `${name}${endings.mlpackage}`);
    if (!isNamed) await linkFolder(packagePath, source);
    const args = ['coremlcompiler', 'compile', source, folder];
    await promisify(execFile)('xcrun', args, { signal }).catch((error) => {
      throwIfInterrupted(signal);
      explain(packagePath)(error);
    });
    // It makes a folder of its own, named after the package.
    const made = join(folder, `${name}${endings.mlmodelc}`);
    for (const name of await listFolder(made)) await movePath(join(made, name), join(folder, name));
    await removePath(made);
    if (!isNamed) await removePath(source);
  });
}

function explain(packagePath: string): (error: NodeJS.ErrnoException & { stderr?: string }) => never {
  return (error) => {
    if (error.code === 'ENOENT') {
      throw new NotFoundError(
        {
          problem: 'there is no xcrun here, so Apple’s compiler cannot be run.',
          advice: 'Install Xcode, or leave out --compiler apple: our own compiler needs nothing.',
        },
        { cause: error },
      );
    }
    throw new UnsupportedModelError(
      {
        problem: `Apple’s compiler refused ${packagePath}.`,
        details: { 'it says': error.stderr?.trim() || error.message },
      },
      { cause: error },
    );
  };
}
