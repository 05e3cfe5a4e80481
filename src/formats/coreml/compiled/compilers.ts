import { RequestError } from '../../../errors.ts';
import { compileWithApple } from './apple-compiler.ts';
import { type CompileOptions, compileMlPackage } from './compile.ts';

/** Compilers of packages: sdconvert's own, on any machine, or Apple's on a Mac with Xcode. */
export type Compiler = 'own' | 'apple';

/** Compiles a package with one of the compilers; the bundle appears when it is complete. Throws as the compiler does. */
export async function compileWith(
  compiler: Compiler,
  packagePath: string,
  bundlePath: string,
  options: CompileOptions = {},
): Promise<void> {
  if (compiler === 'own') return compileMlPackage(packagePath, bundlePath, options);
  if (options.metadata)
    throw new RequestError({
      problem: `Apple’s compiler adds no metadata, and ${bundlePath} needs some.`,
      advice: 'Leave out --compiler apple.',
    });
  await compileWithApple(packagePath, bundlePath, options);
}
