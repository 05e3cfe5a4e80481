import { filesIn } from '../../io/file-sizes.ts';
import { isJsonObject, type JsonObject } from '../../io/json/python-json.ts';
import { dtypeName } from '../../weights/dtype.ts';
import { groupWeights } from '../../weights/weight-groups.ts';
import type { ArtifactFacts, DeclaredValue, FactLines } from '../artifact.ts';
import { parsePath } from '../artifact-id.ts';
import type { CoreAiFacts } from './coreai-facts.ts';
import { calleeOf, mainGraph, plainName } from './functions.ts';
import type { CoreAiAsset } from './open-asset.ts';
import type { Port, Program, ProgramGraph } from './program.ts';
import { storedWeights } from './stored-weights.ts';

/** Reads the facts of an open asset; with several functions, the inputs and outputs of `main`. */
export async function coreAiFacts({
  path,
  program,
  metadata,
}: CoreAiAsset): Promise<ArtifactFacts<'aimodel'>> {
  const main = mainGraph(program.graphs);
  const { creatorDefinedMetadata: made } = metadata;
  const own = isJsonObject(made) ? made : {};
  const operations = namesOfOperations(program);
  const texts = Object.entries({ ...pickTexts(metadata), ...own }).flatMap(
    ([key, text]): [string, string][] => (typeof text === 'string' && text ? [[key, text]] : []),
  );
  return {
    network: typeof own.model === 'string' ? own.model : undefined,
    chunk: parsePath(path).chunk,
    inputs: main ? main.inputs.map(declared) : [],
    outputs: main ? main.outputs.map(declared) : [],
    operations,
    weights: groupWeights(storedWeights(program)),
    files: await filesIn(path),
    metadata: Object.fromEntries(texts),
    problems: main ? [] : ['It has no function main, which is what clients call.'],
    own: {
      stamp: program.stamp,
      functions: program.graphs.filter(({ isPublic }) => isPublic).map(({ name }) => name),
      declared: countDeclared(program, operations),
    },
  };
}

function pickTexts({ producer, author, license, description }: JsonObject) {
  return { producer, author, license, description };
}

/** The set of operations, and the functions, for a person. */
export function describeCoreAi({ stamp, functions, declared }: CoreAiFacts): FactLines {
  const date = String(stamp).replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3');
  return {
    operations: [`of ${date}`],
    functions,
    'for kernels': Object.entries(declared).map(([name, times]) => `${times} ${name}`),
  };
}

function declared({ name, value: { type } }: Port, at: number): DeclaredValue {
  return {
    name: name ?? `value ${at + 1}`,
    dtype: dtypeName(type.element),
    shape: type.shape.map((size) => size ?? '?'),
  };
}

/** Most operations that are looked at: graphs that call each other could be listed without end. */
const MOST_LISTED = 1 << 20;

/** Graphs that call graphs: those of known programs make three. */
const DEEPEST = 32;

/** What is computed, constants left out: a declared graph that is called is one operation, any other that is called those in it. */
function namesOfOperations({ graphs }: Program): string[] {
  const byName = new Map(graphs.map((graph) => [graph.name, graph]));
  const names: string[] = [];
  let seen = 0;
  const list = ({ operations }: ProgramGraph, within: readonly string[]): void => {
    for (const operation of operations) {
      if (++seen > MOST_LISTED) return;
      const callee = byName.get(calleeOf(operation) ?? '');
      const isListed = callee && !within.includes(callee.name) && within.length < DEEPEST;
      if (callee?.declaration) names.push(callee.declaration.name);
      else if (isListed) list(callee, [...within, callee.name]);
      else if (plainName(operation.name) !== 'constant') names.push(plainName(operation.name));
    }
  };
  for (const graph of graphs) if (graph.isPublic) list(graph, [graph.name]);
  return names;
}

function countDeclared({ graphs }: Program, operations: readonly string[]): Record<string, number> {
  const times = new Map<string, number>();
  for (const { declaration } of graphs) if (declaration) times.set(declaration.name, 0);
  for (const name of operations) {
    const known = times.get(name);
    if (known !== undefined) times.set(name, known + 1);
  }
  return Object.fromEntries(times);
}
