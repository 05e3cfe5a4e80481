import { join } from 'node:path';
import { type FromHub, locateRequested, refuseInCache } from '../checkpoint/from-hub/locate-requested.ts';
import { type Context, inStage } from '../context.ts';
import { RequestError } from '../errors.ts';
import { type Compiler, compileWith } from '../formats/coreml/compiled/compilers.ts';
import { endings, modelName } from '../formats/format.ts';
import { formats, openArtifact } from '../formats/open.ts';
import { forgetProvenance } from '../formats/replaced-paths.ts';
import { checkRequest } from './check-request.ts';
import { whileOutputsLocked, whileOutputsStay } from './in-output.ts';
import { noteUnlikeRecord } from './note-unlike-record.ts';
import { type OptionsOf, withDefaults } from './options.ts';
import { refuseExisting } from './refuse-existing.ts';
import { refuseNested } from './refuse-nested.ts';

/** Package to compile, and the output. */
export interface CompileRequest extends FromHub {
  /** A Core ML package; its folder may have any name. */
  readonly package: string;
  /** The `.mlmodelc` to write; next to the package when left out. */
  readonly output?: string | undefined;
  readonly compiler: Compiler;
  /** Whether to replace an existing `.mlmodelc`. */
  readonly force: boolean;
}

/** Defaults of `compilePackage`. */
export const compileDefaults = { compiler: 'own', force: false } as const satisfies Partial<CompileRequest>;

/** Options of `compilePackage`; only `package` is required. */
export type CompileOptions = OptionsOf<CompileRequest, typeof compileDefaults>;

/**
 * Compiles a package and returns the path of the compiled model. Throws `RequestError` for anything but a package,
 * `OutputExistsError`, `OutputBusyError`, `InterruptedError`, and what the compiler throws.
 */
export async function compilePackage(
  options: CompileOptions,
  context: Context = {},
): Promise<{ readonly path: string }> {
  checkRequest('compile', options);
  const given = withDefaults<CompileRequest, typeof compileDefaults>(compileDefaults, options);
  const { output, compiler, force } = given;
  if (output !== undefined && !output.replace(/[/\\]$/, '').endsWith(endings.mlmodelc))
    throw new RequestError({
      problem: `${output} is not the name of a compiled model.`,
      advice: `Let it end in ${endings.mlmodelc}.`,
    });
  if (output === undefined) await refuseInCache(given.package);
  const { package: place } = await locateRequested(given, { package: 'models' }, context);
  await noteUnlikeRecord([place], context);
  const { format, path } = await openArtifact(place, `Name a ${endings.mlpackage}.`);
  if (format !== 'mlpackage')
    throw new RequestError({
      problem: `${place} is ${formats[format].title}, not a Core ML package.`,
      advice: 'Name a .mlpackage: only packages can be compiled.',
    });
  const bundle = output ?? join(path, '..', `${modelName(path)}${endings.mlmodelc}`);
  await refuseNested({ format, path }, bundle);
  return whileOutputsLocked([bundle], () =>
    inStage('compile', context, async () => {
      await refuseExisting(bundle, { force });
      await forgetProvenance(bundle);
      await whileOutputsStay([path], (requireUnchanged) =>
        compileWith(compiler, path, bundle, { signal: context.signal, requireUnchanged }),
      );
      return { output: { path: bundle }, detail: bundle };
    }),
  );
}
