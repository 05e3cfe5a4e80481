import { RequestError } from '../src/errors.ts';

/** Commands whose artifact Apple's tools call `--mlpackage-path`. */
const takesPackage: ReadonlySet<string | undefined> = new Set(['chunk', 'quantize']);

/**
 * Rewrites a command line with options of Apple's that are arguments here, or have another form:
 * `chunk -o out --mlpackage-path X` → `chunk X -o out`, `--pre-analysis-json-path J --selected-recipe R` → `--recipe J#R`. Throws
 * `RequestError` for one without its value.
 */
export function fromApplesOptions(args: readonly string[]): readonly string[] {
  const [command = '', ...given] = args;
  if (!takesPackage.has(command)) return args;
  const path = takeOption('--mlpackage-path', given);
  const analysis = takeOption('--pre-analysis-json-path', path.rest);
  const recipe = takeOption('--selected-recipe', analysis.rest);
  const artifact = path.value === undefined ? [] : [path.value];
  if (analysis.value === undefined) return [command, ...artifact, ...analysis.rest];
  const chosen = recipe.value === undefined ? '' : `#${recipe.value}`;
  return [command, ...artifact, ...recipe.rest, '--recipe', `${analysis.value}${chosen}`];
}

/** An option's value, and the command line without both. */
function takeOption(
  name: string,
  args: readonly string[],
): { readonly value: string | undefined; readonly rest: readonly string[] } {
  const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  const option = args[at];
  if (option === undefined) return { value: undefined, rest: args };
  const isApart = option === name;
  const value = isApart ? args[at + 1] : option.slice(name.length + 1);
  if (value === undefined || value === '' || (isApart && value.startsWith('-')))
    throw new RequestError({ problem: `${name} needs a value.` });
  return { value, rest: args.filter((_, index) => index !== at && !(isApart && index === at + 1)) };
}
