import { compileWithApple } from './apple-compiler.ts';
import { compileMlPackage } from './compile.ts';

/** Compilers of packages: sdconvert's own, on any machine, or Apple's on a Mac with Xcode. */
export type Compiler = 'own' | 'apple';

/** Compiles a package with one of the compilers; the bundle appears when it is complete. Throws as the compiler does. */
export async function compileWith(
  compiler: Compiler,
  packagePath: string,
  bundlePath: string,
  signal?: AbortSignal,
): Promise<void> {
  await (compiler === 'apple' ? compileWithApple : compileMlPackage)(packagePath, bundlePath, { signal });
}
