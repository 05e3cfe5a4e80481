import type { Operation, ProgramGraph } from './program.ts';

/** The function that runs: `main`, or the only one. */
export function mainGraph(graphs: readonly ProgramGraph[]): ProgramGraph | undefined {
  const functions = graphs.filter(({ isPublic }) => isPublic);
  return functions.find(({ name }) => name === 'main') ?? (functions.length === 1 ? functions[0] : undefined);
}

/** The name of the graph that an operation calls; `undefined` for one that calls none. */
export function calleeOf({ name, properties }: Operation): string | undefined {
  const [, callee] = properties;
  if (name !== 'dataflow.invoke_v1' || callee?.kind !== 'parameter' || callee.value.kind !== 'symbol')
    return undefined;
  return callee.value.path.join('.');
}

/** An operation's name as people know it: `primitive.conv2d_v1` is `conv2d`. */
export function plainName(operation: string): string {
  return operation.replace(/^(primitive|dataflow)\./, '').replace(/_v\d+$/, '');
}
