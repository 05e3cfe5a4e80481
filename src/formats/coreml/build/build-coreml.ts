import type { Graph } from '../../../graph/graph.ts';
import { float16Value } from '../../../weights/convert-dtype.ts';
import { type DType, elementCount } from '../../../weights/dtype.ts';
import { readTensor } from '../../../weights/tensor-data.ts';
import type { Weight } from '../../../weights/weight.ts';
import type { DeploymentTarget } from '../deployment-target.ts';
import type { PackageContents } from '../package/package.ts';
import { buildModel, type PackageDescription } from './build-model.ts';

/** How a graph is to become a package. */
export interface CoreMlOptions {
  /** The oldest system that is to load it. */
  readonly target: DeploymentTarget;
  readonly description: PackageDescription;
}

/** A graph as a package in the making. */
export interface CoreMlBuild {
  /** The package with zeros for the few numbers that stand in the program itself: exact in everything but those. */
  readonly planned: PackageContents;
  /** The package as it is to be written, with these numbers read. Throws what reading the weights throws. */
  read(): Promise<PackageContents>;
}

/**
 * The Core ML form of a graph. Its sizes must be fixed; what is float16 and what is float32 is the graph's matter.
 * No weight is read until `read`, and then only small ones.
 *
 *     const { read } = buildCoreMl(graph, { target: 'macOS13', description });
 *     await writePackage('unet.mlpackage', await read(), () => {});
 */
export function buildCoreMl(graph: Graph, options: CoreMlOptions): CoreMlBuild {
  const { contents, smallWeights } = unread(graph, options);
  return {
    planned: contents,
    async read() {
      const values = new Map<Weight, readonly number[]>();
      for (const [weight, dtype] of smallWeights) values.set(weight, await readElements(weight, dtype));
      return buildModel(graph, options.target, options.description, (weight) => {
        const elements = values.get(weight);
        if (!elements) throw new Error(`${weight.name} was not read`);
        return elements;
      });
    },
  };
}

/** The package with zeros for the weights that stand in the program itself, and which these are. */
function unread(
  graph: Graph,
  { target, description }: CoreMlOptions,
): { readonly contents: PackageContents; readonly smallWeights: ReadonlyMap<Weight, DType> } {
  const smallWeights = new Map<Weight, DType>();
  const contents = buildModel(graph, target, description, (weight, dtype) => {
    smallWeights.set(weight, dtype);
    return Array(elementCount(weight.shape)).fill(0);
  });
  return { contents, smallWeights };
}

async function readElements(weight: Weight, dtype: DType): Promise<number[]> {
  const { data } = await readTensor(weight, dtype);
  return Array.from<number | bigint, number>(
    data,
    dtype === 'f16' ? (bits) => float16Value(Number(bits)) : Number,
  );
}
