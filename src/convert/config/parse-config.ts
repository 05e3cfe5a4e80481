import type { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';

/**
 * A component's config, checked against what sdconvert can build. Keys that no schema names say nothing about the
 * graph and are left alone. Throws `ConfigError` naming the file, the key, what is there and what would be supported.
 */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  component: Component,
): z.output<Schema> {
  const result = schema.safeParse(component.config, { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = issue?.path.join('.') ?? '';
  if (issue?.input === undefined) {
    throw new ConfigError({
      problem: `the config of the ${component.name} does not say ${key}.`,
      details: { file: component.configFile, ...classIn(component) },
      advice:
        'It is incomplete, or belongs to another kind of model: take it from where the weights come from.',
    });
  }
  throw new ConfigError({
    problem: `the config of the ${component.name} sets ${key} to something that sdconvert cannot convert.`,
    details: {
      file: component.configFile,
      ...classIn(component),
      found: `${key} = ${JSON.stringify(issue.input)}`,
      supported: issue.message,
    },
    advice: 'If the file is intact, this is a kind of model that is not supported yet.',
  });
}

/** What a config says that it is of. */
function classIn({ config: { _class_name: name } }: Component): { readonly class?: string } {
  return typeof name === 'string' ? { class: name } : {};
}

/** A size that a config states and a weight shows. */
export interface StatedSize {
  readonly key: string;
  readonly value: number;
  readonly weight: string;
  readonly axis: number;
}

/** Throws `ConfigError` for the first stated size that the weights contradict; weights that are not there are left to the network. */
export function checkSizes(component: Component, sizes: readonly StatedSize[]): void {
  for (const { key, value, weight, axis } of sizes) {
    const found = component.weights.get(weight);
    const size = found?.shape[axis];
    if (!found || size === value) continue;
    throw new ConfigError({
      problem: `the config of the ${component.name} contradicts its weights: ${key} is ${value}, but the weights are made for ${size}.`,
      details: {
        config: component.configFile,
        weight: `${weight} [${found.shape.join(', ')}]`,
        file: found.file,
      },
      advice: 'The config belongs to another model. Take both files from the same source.',
    });
  }
}

/** Throws `ConfigError` for the first list that has not as many entries as the network has levels; what is no list holds for all levels. */
export function checkLevels(
  component: Component,
  levels: number,
  lists: Readonly<Record<string, unknown>>,
): void {
  for (const [key, list] of Object.entries(lists)) {
    if (!Array.isArray(list) || list.length === levels) continue;
    throw new ConfigError({
      problem: `the config of the ${component.name} contradicts itself: block_out_channels has ${levels} entries, but ${key} has ${list.length}.`,
      details: { file: component.configFile },
      advice: 'Download the file again, or take it from where the weights come from.',
    });
  }
}
