import { join } from 'node:path';
import type { Context } from '../context.ts';
import { InterruptedError, SdConvertError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { readProvenance, recordBundle } from '../formats/provenance.ts';
import { nextCommand } from '../inspect/next-command.ts';
import { exists } from '../io/disk.ts';
import { bundleFolder, compileBundles, type SwiftPackage } from './swift-resources.ts';

const RESOURCES = 'Resources';

/** What became other packages, and which compiled models were made of what was there before. */
export interface Refresh {
  /** The packages as they are now. */
  readonly packages: readonly SwiftPackage[];
  /** Those of before: where one of their compiled models is in `Resources`, it is to be replaced. */
  readonly before: readonly Pick<SwiftPackage, 'id' | 'path'>[];
}

/**
 * Keeps the `Resources` of a folder in step with packages that were written anew. Compiled models that are on record are
 * compiled again, by sdconvert's own compiler; of those that nobody recorded, or that it cannot compile, a note says that
 * they are of the models before, and they are on record no more. Throws `InterruptedError`, and what writing throws.
 */
export async function refreshBundles(
  folder: string,
  { packages, before }: Refresh,
  context: Context,
): Promise<void> {
  const recorded = (await readProvenance(folder))?.artifacts[RESOURCES]?.files ?? [];
  if (before.length === 0 || packages.every((each) => isOfItsWeights(each, recorded))) return;
  for (const bundle of before.map(bundleFolder)) {
    if (!(await exists(join(folder, RESOURCES, bundle)))) continue;
    if (!recorded.some(({ name }) => name.startsWith(`${bundle}/`))) {
      tellStale(folder, bundle, context);
      continue;
    }
    try {
      const files = await compileBundles({ packages, compiler: 'own' }, join(folder, RESOURCES), context);
      await recordBundle(folder, RESOURCES, files);
    } catch (error) {
      if (!(error instanceof SdConvertError) || error instanceof InterruptedError) throw error;
      tellStale(folder, bundle, context, error.problem);
    }
    return;
  }
}

/** Whether the compiled model on record is that of a package as it is: both have the same weights. */
function isOfItsWeights(swiftPackage: SwiftPackage, recorded: readonly WrittenFile[]): boolean {
  const weights = 'weights/weight.bin';
  const own = swiftPackage.files?.find(({ name }) => name.endsWith(`/${weights}`));
  const bundled = recorded.find(({ name }) => name === `${bundleFolder(swiftPackage)}/${weights}`);
  return own !== undefined && own.sha256 === bundled?.sha256;
}

function tellStale(folder: string, bundle: string, { onProgress }: Context, because?: string): void {
  const why = because === undefined ? '' : ` (${because.replace(/\.$/, '')})`;
  const { command } = nextCommand('bundle', folder);
  const message = `${join(folder, RESOURCES, bundle)} is still what was compiled before${why}: ${command} compiles it again.`;
  onProgress?.({ type: 'note', message });
}
