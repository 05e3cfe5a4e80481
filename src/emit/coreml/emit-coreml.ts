import type { Graph } from '../../graph/graph.ts';
import { float16Value } from '../../weights/convert-dtype.ts';
import { type DType, elementCount } from '../../weights/dtype.ts';
import { readTensor } from '../../weights/tensor-data.ts';
import type { Weight } from '../../weights/weight.ts';
import { buildModel, type CoreMlModel, type PackageDescription } from './build-model.ts';
import { type PackageFile, packageFiles, writePackage } from './package.ts';
import type { Target } from './target.ts';

/** How a graph is to become a package. */
export interface CoreMlOptions {
  /** The oldest system that is to load it. */
  readonly target: Target;
  readonly description: PackageDescription;
}

/** A package on the disk. */
export interface EmittedPackage {
  readonly path: string;
  readonly files: readonly PackageFile[];
}

/** The files of the package that `emitCoreMl` would write, with exact sizes. Nothing is read or written. */
export function planCoreMl(graph: Graph, options: CoreMlOptions): PackageFile[] {
  return packageFiles(unreadModel(graph, options).model);
}

/**
 * Writes a graph as a `.mlpackage` under `path`. Its sizes must be fixed; what is float16 and what is float32 is the
 * graph's matter. `onBytes` is told how many bytes each write had: together those that `planCoreMl` foretells. Throws
 * what `writePackage` throws.
 *
 *     await emitCoreMl(graph, { path: 'unet.mlpackage', target: 'macOS13', description });
 */
export async function emitCoreMl(
  graph: Graph,
  options: CoreMlOptions & { readonly path: string; readonly onBytes?: (count: number) => void },
): Promise<EmittedPackage> {
  const { path, target, description, onBytes = () => {} } = options;
  const values = new Map<Weight, readonly number[]>();
  for (const [weight, dtype] of unreadModel(graph, options).smallWeights) {
    values.set(weight, await readElements(weight, dtype));
  }
  const model = buildModel(graph, target, description, (weight) => values.get(weight) ?? []);
  await writePackage(path, model, onBytes);
  return { path, files: packageFiles(model) };
}

/** The model with zeros for the weights that stand in the program itself, and which these are. */
function unreadModel(
  graph: Graph,
  { target, description }: CoreMlOptions,
): { readonly model: CoreMlModel; readonly smallWeights: ReadonlyMap<Weight, DType> } {
  const smallWeights = new Map<Weight, DType>();
  const model = buildModel(graph, target, description, (weight, dtype) => {
    smallWeights.set(weight, dtype);
    return Array(elementCount(weight.shape)).fill(0);
  });
  return { model, smallWeights };
}

async function readElements(weight: Weight, dtype: DType): Promise<number[]> {
  const { data } = await readTensor(weight, dtype);
  return Array.from<number | bigint, number>(
    data,
    dtype === 'f16' ? (bits) => float16Value(Number(bits)) : Number,
  );
}
