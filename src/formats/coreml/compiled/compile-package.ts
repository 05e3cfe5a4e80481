import { basename } from 'node:path';
import type { Context } from '../../../context.ts';
import { NotFoundError, OutputExistsError, RequestError } from '../../../errors.ts';
import { exists } from '../../../io/disk.ts';
import { forgetProvenance } from '../../provenance.ts';
import { compileWithApple } from './apple-compiler.ts';
import { compileMlPackage } from './compile.ts';

/** Who compiles packages: sdconvert itself, on any machine, or Apple's compiler on a Mac with Xcode. */
export type Compiler = 'own' | 'apple';

/** What to compile, and where to. */
export interface CompileRequest {
  /** A `.mlpackage`. */
  readonly package: string;
  /** The `.mlmodelc` to make; beside the package when left out. */
  readonly output?: string | undefined;
  readonly compiler: Compiler;
  /** Whether to replace a bundle that is there. */
  readonly force: boolean;
}

/**
 * Compiles a package and gives the bundle's path. Throws `OutputExistsError`, `InterruptedError`, and as the compiler
 * does.
 */
export async function compilePackage(
  { package: path, output, compiler, force }: CompileRequest,
  { signal }: Context = {},
): Promise<string> {
  const source = path.replace(/\/+$/, '');
  if (!(await exists(source)))
    throw new NotFoundError({ problem: `${path} does not exist.`, advice: 'Name a .mlpackage.' });
  if (!source.endsWith('.mlpackage'))
    throw new RequestError({
      problem: `${basename(path)} is not a .mlpackage.`,
      advice: 'Only packages are compiled.',
    });
  const bundle = output ?? source.replace(/\.mlpackage$/, '.mlmodelc');
  if (!force && (await exists(bundle)))
    throw new OutputExistsError({
      problem: `${bundle} exists already.`,
      advice: 'Pass --force to replace it.',
    });
  await forgetProvenance(bundle);
  await compileWith(compiler, source, bundle, signal);
  return bundle;
}

/** Compiles a package with one of the compilers; the bundle appears when it is complete. */
export async function compileWith(
  compiler: Compiler,
  packagePath: string,
  bundlePath: string,
  signal?: AbortSignal,
): Promise<void> {
  await (compiler === 'apple' ? compileWithApple : compileMlPackage)(packagePath, bundlePath, { signal });
}
