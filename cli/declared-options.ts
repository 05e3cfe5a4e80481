/** What yargs keeps of the options that were declared; its types do not say that it tells. */
interface Declared {
  readonly key: Readonly<Record<string, unknown>>;
  readonly alias: Readonly<Record<string, readonly string[]>>;
}

/** The names of the options that a parser knows by now, without aliases. */
export function declaredOptions(parser: object): readonly string[] {
  const { key, alias } = optionsOf(parser);
  const aliases = new Set(Object.values(alias).flat());
  return Object.keys(key).filter((name) => !aliases.has(name));
}

/** The same with their aliases. */
export function declaredNames(parser: object): ReadonlySet<string> {
  const { key, alias } = optionsOf(parser);
  return new Set([...Object.keys(key), ...Object.keys(alias), ...Object.values(alias).flat()]);
}

function optionsOf(parser: object): Declared {
  return (parser as { getOptions(): Declared }).getOptions(); // as: see above
}
