/** Declared options, as yargs keeps them; its types lack `getOptions`. */
export interface DeclaredOptions {
  readonly array: readonly string[];
  readonly boolean: readonly string[];
  readonly number: readonly string[];
  readonly key: Readonly<Record<string, unknown>>;
  readonly alias: Readonly<Record<string, readonly string[]>>;
}

/** Names of the options declared so far, without aliases. */
export function declaredOptions(parser: object): readonly string[] {
  const { key, alias } = optionsOf(parser);
  const aliases = new Set(Object.values(alias).flat());
  return Object.keys(key).filter((name) => !aliases.has(name));
}

/** Names of the options declared so far, with aliases. */
export function declaredNames(parser: object): ReadonlySet<string> {
  const { key, alias } = optionsOf(parser);
  return new Set([...Object.keys(key), ...Object.keys(alias), ...Object.values(alias).flat()]);
}

function optionsOf(parser: object): DeclaredOptions {
  return (parser as { getOptions(): DeclaredOptions }).getOptions(); // as: see above
}
