import { type Checkpoint, type Component, natureOf } from '../../src/checkpoint/checkpoint.ts';
import { GraphBuilder } from '../../src/graph/graph.ts';
import { Scope } from '../../src/graph/scope.ts';
import { WeightBook } from '../../src/graph/weight-book.ts';
import type { JsonObject } from '../../src/io/json/python-json.ts';
import type { Weight } from '../../src/weights/weight.ts';
import { unreadWeight } from './memory-weight.ts';

/** A component as its header and config tell of it: no file, no numbers. */
export interface HeaderComponent {
  readonly config: JsonObject;
  /** The shape of each weight. */
  readonly weights: Readonly<Record<string, readonly number[]>>;
}

/** A checkpoint made of headers and configs; a weight that is read throws. */
export function headerCheckpoint(
  components: Readonly<Record<string, HeaderComponent>>,
  name = 'headers',
): Checkpoint {
  const opened = new Map(
    Object.entries(components).map(([key, value]) => [key, headerComponent(key, value)]),
  );
  return {
    name,
    path: name,
    modelIndex: {},
    components: opened,
    folders: new Map(),
    missing: [],
    ...natureOf(opened),
    notes: [],
    close: async () => {},
  };
}

/** One component of such a checkpoint. */
export function headerComponent(name: string, { config, weights }: HeaderComponent): Component {
  const configFile = `${name}/config.json`;
  const className = String(config._class_name ?? '');
  return { name, className, config, configFile, weights: headerWeights(weights), files: [] };
}

/** The root of a network whose weights are known by their shapes alone. */
export function headerScope(weights: HeaderComponent['weights']): Scope {
  return new Scope(new GraphBuilder(), new WeightBook('the test', headerWeights(weights)));
}

function headerWeights(weights: HeaderComponent['weights']): ReadonlyMap<string, Weight> {
  return new Map(Object.entries(weights).map(([name, shape]) => [name, unreadWeight(name, shape)]));
}
