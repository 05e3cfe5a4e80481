import { join } from 'node:path';
import type { Context } from '../context.ts';
import { OutputExistsError, RequestError } from '../errors.ts';
import { type Compiler, compileWith } from '../formats/coreml/compiled/compilers.ts';
import { endings, modelName } from '../formats/format.ts';
import { formats, openArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/provenance.ts';
import { exists } from '../io/disk.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** What to compile, and where to. */
export interface CompileRequest {
  /** A Core ML package, whatever its folder is called. */
  readonly package: string;
  /** The `.mlmodelc` to make; beside the package when left out. */
  readonly output?: string | undefined;
  readonly compiler: Compiler;
  /** Whether to replace a bundle that is there. */
  readonly force: boolean;
}

/** What `compilePackage` does when nothing else is asked for. */
export const compileDefaults = { compiler: 'own', force: false } as const satisfies Partial<CompileRequest>;

/** Only `package` is needed. */
export type CompileOptions = OptionsOf<CompileRequest, typeof compileDefaults>;

/**
 * Compiles a package and says where the compiled model is. Throws `RequestError` for what is no package, `OutputExistsError`,
 * `InterruptedError`, and as the compiler does.
 */
export async function compilePackage(
  options: CompileOptions,
  { signal }: Context = {},
): Promise<{ readonly path: string }> {
  checkRequest('compile', options);
  const request = withDefaults<CompileRequest, typeof compileDefaults>(compileDefaults, options);
  const { package: place, output, compiler, force } = request;
  const { format, path } = await openArtifact(place, `Name a ${endings.mlpackage}.`);
  if (format !== 'mlpackage')
    throw new RequestError({
      problem: `${place} is ${formats[format].title}, not a Core ML package.`,
      advice: 'Only packages are compiled.',
    });
  const bundle = output ?? join(path, '..', `${modelName(path)}${endings.mlmodelc}`);
  if (!force && (await exists(bundle)))
    throw new OutputExistsError({
      problem: `${bundle} exists already.`,
      advice: 'Pass --force to replace it.',
    });
  await forgetProvenance(bundle);
  await compileWith(compiler, path, bundle, signal);
  return { path: bundle };
}
