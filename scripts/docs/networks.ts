import { attentionImplementations } from '../../src/convert/blocks/attention.ts';
import { convert, type Model, networksOf } from '../../src/convert/convert.ts';
import type { NetworkName } from '../../src/convert/networks/networks.ts';
import { targetNames } from '../../src/formats/format.ts';
import { targets } from '../../src/formats/targets.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { verifyGraph } from '../../src/graph/verify.ts';
import { formatBytes } from '../../src/text.ts';
import { byteSize } from '../../src/weights/dtype.ts';
import { attempt } from './attempt.ts';
import type { PublishedModel } from './full-size-models.ts';
import { code, Notes, table } from './markdown.ts';

/** A row for each network of these models: every graph is built, for each target and with each attention. */
export async function networkTable(models: readonly PublishedModel[]): Promise<string> {
  const notes = new Notes();
  const rows = [
    [
      'model',
      'network',
      'float16 weights',
      ...targetNames.flatMap((target) => attentionImplementations.map((each) => `${target} ${code([each])}`)),
    ],
  ];
  for (const model of models)
    for (const [at, name] of namesOf(model).entries())
      rows.push([at === 0 ? model.title : '', code([name]), ...(await cells(model, name, notes))]);
  return [table(rows), notes].join('\n');
}

/** The networks that a model brings itself, its UNet in both forms. */
function namesOf({ own }: PublishedModel): readonly NetworkName[] {
  return [...new Set([...networksOf(own), ...networksOf(own, { controlledUnet: true })])];
}

async function cells({ title, whole }: PublishedModel, name: NetworkName, notes: Notes): Promise<string[]> {
  let weights = '';
  const built: string[] = [];
  for (const target of targetNames) {
    const { contract } = targets[target];
    for (const attention of attentionImplementations) {
      const cell = await attempt(() => {
        const [model] = convert(whole, { contract, attention, models: [name], sizes: {} });
        if (!model) throw new Error(`${title} has no ${name}`);
        verifyGraph(model.graph);
        weights = weightsCell(model, notes);
        return `✓ ${operations(model.graph).toLocaleString('en')}`;
      }, notes);
      built.push(cell);
    }
  }
  return [weights, ...built];
}

/** Every contract and attention has the same weights: those of any graph are the network's. */
function weightsCell({ graph, needsFloat32 }: Model, notes: Notes): string {
  const bytes = graph.tensors.flatMap(({ op }) =>
    op.kind === 'weight' ? byteSize(op.weight.shape, 'f16') : [],
  );
  const size = formatBytes(bytes.reduce((sum, each) => sum + each, 0));
  if (needsFloat32 === undefined) return size;
  return `${size} ${notes.refer(`Stays in float32, twice the size: ${needsFloat32}`)}`;
}

function operations({ tensors }: Graph): number {
  return tensors.filter(({ op: { kind } }) => !['input', 'weight', 'constant'].includes(kind)).length;
}
