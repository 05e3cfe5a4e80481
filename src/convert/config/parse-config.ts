import { z } from 'zod';
import type { Component } from '../../checkpoint/checkpoint.ts';
import { ConfigError } from '../../errors.ts';
import { shown } from '../../io/error-text.ts';
import { wanted } from '../../io/wanted.ts';

/**
 * Parses a component's config by the schema of what sdconvert can build. Keys outside of the schema do not affect the
 * graph and are ignored. Throws `ConfigError` with the file, the key, its value and the supported values.
 */
export function parseConfig<Schema extends z.ZodType>(
  schema: Schema,
  component: Stated & Pick<Component, 'config'>,
): z.output<Schema> {
  const result = schema.safeParse(component.config, { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const key = issue?.path.join('.') ?? '';
  if (issue?.input === undefined) {
    throw new ConfigError({
      problem: `the config of the ${component.name} has no ${key}.`,
      details: { file: component.configFile, ...classIn(component) },
      advice:
        'It is incomplete, or belongs to another kind of model: take it from the same source as the weights.',
    });
  }
  throw new ConfigError({
    problem: `the config of the ${component.name} sets ${key} to a value that is not supported.`,
    details: {
      file: fileOf(component, issue.path[0]),
      ...classIn(component),
      found: `${key} = ${shown(issue.input)}`,
      supported: wanted(issue),
    },
    advice: 'Download the file again; if it is intact, this kind of model is not supported yet.',
  });
}

/** What errors tell of a config's origin. */
type Stated = Pick<Component, 'name' | 'configFile' | 'fileOfKey'>;

function fileOf({ configFile, fileOfKey = {} }: Stated, key: PropertyKey | undefined): string {
  return fileOfKey[String(key)] ?? configFile;
}

/** A key that must be `value` or left out. */
export const only = <T extends string | number | boolean | null>(value: T) =>
  z.literal(value, { error: JSON.stringify(value) }).default(value as never);

/** The class that a config names. */
function classIn({ config: { _class_name: name } }: Pick<Component, 'config'>): { readonly class?: string } {
  return typeof name === 'string' ? { class: name } : {};
}

/** A size in a config, and the weight and axis that must have it. */
export interface StatedSize {
  readonly key: string;
  readonly value: number;
  readonly weight: string;
  readonly axis: number;
}

/**
 * Throws `ConfigError` for the first size that the weights contradict; missing weights are reported when the network is
 * built.
 */
export function checkSizes(
  component: Pick<Component, 'name' | 'configFile' | 'weights'>,
  sizes: readonly StatedSize[],
): void {
  for (const { key, value, weight, axis } of sizes) {
    const found = component.weights.get(weight);
    const size = found?.shape[axis];
    if (!found || size === value) continue;
    throw new ConfigError({
      problem: `the config of the ${component.name} contradicts its weights: ${key} is ${value}, but the weights have ${size}.`,
      details: {
        config: component.configFile,
        weight: `${weight} [${found.shape.join(', ')}]`,
        file: found.file,
      },
      advice: 'The config belongs to another model. Take both files from the same source.',
    });
  }
}

/** A number in a config, and a width that it must divide. */
export interface Divisor {
  readonly key: string;
  readonly value: number;
  readonly of: string;
  readonly width: number;
}

/** Throws `ConfigError` for the first number that does not divide its width: heads of an attention, groups of a normalisation. */
export function checkDivisors(component: Stated, divisors: readonly Divisor[]): void {
  for (const { key, value, of, width } of divisors) {
    if (width % value === 0) continue;
    throw new ConfigError({
      problem: `the config of the ${component.name} contradicts itself: ${key} = ${value} does not divide ${of} = ${width}.`,
      details: { file: fileOf(component, key) },
      advice: 'Download the file again, or take it from the same source as the weights.',
    });
  }
}

/** Each level's width, which the groups of its normalisations must divide. */
export function groupsOf(groups: number, widths: readonly number[], of: string): Divisor[] {
  return widths.map((width, level) => ({
    key: 'norm_num_groups',
    value: groups,
    of: `${of}[${level}]`,
    width,
  }));
}

/**
 * Throws `ConfigError` for the first list that is not as long as the first of them, which has an entry per level; a single
 * value holds for all levels.
 */
export function checkLevels(
  component: Pick<Component, 'name' | 'configFile'>,
  lists: Readonly<Record<string, unknown>>,
): void {
  const lengths = Object.entries(lists).flatMap(([key, list]) =>
    Array.isArray(list) ? [[key, list.length] as const] : [],
  );
  const [[first, levels] = ['', 0]] = lengths;
  for (const [key, length] of lengths) {
    if (length === levels) continue;
    throw new ConfigError({
      problem: `the config of the ${component.name} contradicts itself: ${first} has ${levels} entries, but ${key} has ${length}.`,
      details: { file: component.configFile },
      advice: 'Download the file again, or take it from the same source as the weights.',
    });
  }
}
