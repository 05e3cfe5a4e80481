import { join } from 'node:path';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { optimumContract } from '../../convert/contracts/optimum.ts';
import { convert, networksOf } from '../../convert/convert.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';
import { withArtifact } from '../../formats/open.ts';
import { FEWEST_ELEMENTS, plainName } from '../../quantize/plan.ts';
import { errorIn, type StoredForm } from '../../quantize/stored-form.ts';
import { asDecibels } from '../../validate/decibels.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import type { Card, CardFile } from '../card.ts';

type Layers = Card['layers'][number];

/**
 * The weights with fewer bits of every model that has some, the worst first. What each of them lost is computed from the
 * checkpoint's own weight, and is unknown without it. Throws what reading weights throws.
 */
export async function layersOf(
  folder: string,
  files: readonly CardFile[],
  checkpoint: Checkpoint | undefined,
): Promise<Card['layers']> {
  // Compiled models hold the weights of their packages.
  const readable = files.filter(({ format, problem }) => format !== 'mlmodelc' && problem === null);
  const models = Map.groupBy(readable, ({ format, network, path, chunk }) =>
    chunk === null ? path : `${format} ${network}`,
  );
  const layers: Layers[] = [];
  for (const parts of models.values()) {
    const forms = new Map<string, StoredForm>();
    for (const { path } of parts)
      for (const [name, form] of await withArtifact(join(folder, path), (each) => each.quantized()))
        forms.set(name, form);
    const [first] = parts;
    if (forms.size > 0 && first) layers.push(await describe(first, parts, forms, checkpoint));
  }
  return layers;
}

async function describe(
  { network, path }: CardFile,
  parts: readonly CardFile[],
  forms: ReadonlyMap<string, StoredForm>,
  checkpoint: Checkpoint | undefined,
): Promise<Layers> {
  const originals = checkpoint && network ? weightsOf(checkpoint, network) : new Map<string, Weight>();
  const weights: Layers['weights'] = [];
  for (const [name, form] of forms) weights.push(await describeWeight(name, form, originals.get(name)));
  const known = [...originals].filter(([name]) => !forms.has(name)).map(([, weight]) => weight);
  return {
    path: parts.length > 1 ? `${path} and ${parts.length - 1} more` : path,
    network: network ?? 'unknown',
    weights: weights.sort((a, b) => Number(a.decibels ?? 0) - Number(b.decibels ?? 0)),
    leftOut: known.length > 0 ? reasons(known) : storedWhole(parts),
  };
}

async function describeWeight(
  name: string,
  form: StoredForm,
  original: Weight | undefined,
): Promise<Layers['weights'][number]> {
  const { kind, bits } = form;
  const described = { name, form: kind, bits };
  const error = original && (await errorIn(original, form));
  if (!error) return { ...described, elements: null, byteLength: null, decibels: null };
  const elements = elementCount(original.shape);
  const { squaredError, energy } = error;
  const decibels = asDecibels(10 * Math.log10(energy / squaredError));
  return {
    ...described,
    name: original.name,
    elements,
    byteLength: Math.ceil((elements * bits) / 8),
    decibels,
  };
}

/** The weights of a network, by their plain names; none of a network that the checkpoint lacks. */
function weightsOf(checkpoint: Checkpoint, network: string): ReadonlyMap<string, Weight> {
  const name = networksOf(checkpoint).find((each): each is NetworkName => each === network);
  if (!name) return new Map();
  const options = { models: [name], contract: optimumContract, attention: 'ORIGINAL', sizes: {} } as const;
  const tensors = convert(checkpoint, options).flatMap(({ graph }) => graph.tensors);
  return new Map(
    tensors.flatMap(({ op }) => (op.kind === 'weight' ? [[plainName(op.weight.name), op.weight]] : [])),
  );
}

/** Why weights have no fewer bits. */
function reasons(weights: readonly Weight[]): Layers['leftOut'] {
  const groups = Map.groupBy(weights, ({ name, shape }) => {
    if (shape.length < 2) return 'biases and norms: few numbers, on which every later operation depends';
    if (/embedding\.weight$|embeddings\./.test(name)) return 'embeddings: looked up, not multiplied';
    if (elementCount(shape) <= FEWEST_ELEMENTS)
      return `at most ${FEWEST_ELEMENTS.toLocaleString('en')} numbers: a palette would save nothing`;
    return 'kept by the recipe';
  });
  return [...groups].map(([why, group]) => ({
    why,
    tensors: group.length,
    parameters: group.reduce((sum, { shape }) => sum + elementCount(shape), 0),
    names: group.map(({ name }) => name).slice(0, 20),
  }));
}

/** What is stored whole, where the checkpoint is not there to tell why. */
function storedWhole(parts: readonly CardFile[]): Layers['leftOut'] {
  return parts
    .flatMap(({ weights }) => weights)
    .filter(({ stored }) => /^(b?float|int)/.test(stored))
    .map(({ stored, tensors, parameters }) => ({
      why: `stored as ${stored}`,
      tensors,
      parameters,
      names: [],
    }));
}
