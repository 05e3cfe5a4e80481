import { z } from 'zod';
import { FileFormatError, RequestError } from '../errors.ts';
import { checkArguments, text } from '../io/check-call.ts';
import { exists, readText } from '../io/disk.ts';
import { excerpt, firstOf, quote, shown } from '../io/error-text.ts';
import { duplicateKey } from '../io/json/json-text.ts';
import { CONFIG_LIMITS, type JsonObject, parseJsonObject } from '../io/json/python-json.ts';
import { writeJson } from '../io/json/strict-json.ts';
import { paletteBits } from '../quantize/palette/palette.ts';
import { plainName, type QuantizationPlan } from '../quantize/plan.ts';

/** Bits for each weight; names as diffusers has them, with or without `.weight`. 16 leaves a weight as it is. */
export type Recipe = ReadonlyMap<string, number>;

/** Bits of an unchanged weight in recipes (Apple's too). */
export const UNTOUCHED = 16;

const recipeBits = [...paletteBits, UNTOUCHED];
const recipeSchema = z.record(z.string().min(1), z.literal(recipeBits));

/** Output of mixed_bit_compression_pre_analysis.py of Apple's converter: several recipes by name. */
const severalSchema = z.object({ recipes: z.record(z.string(), recipeSchema) });

/**
 * Reads a recipe: `{ "down_blocks.0.….to_q": 4, … }`, as sdconvert and Apple's converter write it. A file of Apple's
 * with several takes the name of one behind a `#`. Throws `FileFormatError` for unknown bits, for two of one weight or what is no
 * recipe, `RequestError` when it is not said which of several.
 *
 * @example await readRecipe('sdxl_palettization_recipe.json#recipe_4.04_bit_mixedpalette')
 */
export async function readRecipe(argument: string): Promise<Recipe> {
  checkArguments('readRecipe', { path: [argument, text] });
  const [path, chosen] = await pathAndName(argument);
  const { bytes, keys } = CONFIG_LIMITS;
  const written = await readText(path, bytes);
  const json = parseJsonObject(written, path, keys);
  const twice = duplicateKey(written);
  if (twice !== undefined) throw notARecipe(path, { found: `two entries of ${quote(twice)}` });
  const found =
    'recipes' in json
      ? pick(parse(severalSchema, json, path).recipes, path, chosen)
      : parse(recipeSchema, json, path);
  const recipe = new Map(Object.entries(found));
  if (recipe.size === 0) throw notARecipe(path, { found: 'no weights' });
  checkOneEach(recipe, path);
  return recipe;
}

/** A file may have a `#` in its own name, and so may a recipe. */
async function pathAndName(argument: string): Promise<readonly [path: string, name: string | undefined]> {
  const at = argument.indexOf('#');
  return at < 1 || (await exists(argument))
    ? [argument, undefined]
    : [argument.slice(0, at), argument.slice(at + 1)];
}

/** Throws `FileFormatError` where two names are those of one weight, and their bits differ. */
function checkOneEach(recipe: Recipe, path: string): void {
  const first = new Map<string, string>();
  for (const [name, bits] of recipe) {
    const other = first.get(weightKey(name));
    if (other === undefined) first.set(weightKey(name), name);
    else if (recipe.get(other) !== bits)
      throw notARecipe(path, {
        found: `${recipe.get(other)} bits for ${quote(other)}, and ${bits} for ${quote(name)}: one weight`,
      });
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, json: JsonObject, path: string): z.output<Schema> {
  const result = schema.safeParse(json, { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw notARecipe(path, {
    at: issue?.path.join('.') ?? '',
    found: shown(issue?.input),
    expected: recipeBits.join(', '),
  });
}

function notARecipe(path: string, details: Readonly<Record<string, string>>): FileFormatError {
  return new FileFormatError({
    problem: `${path} is not a recipe of bits.`,
    details,
    advice: 'A recipe is JSON: the bits of each weight by name, e.g. { "conv_out": 8 }.',
  });
}

function pick(
  recipes: Readonly<Record<string, Readonly<Record<string, number>>>>,
  path: string,
  chosen: string | undefined,
): Readonly<Record<string, number>> {
  const names = Object.keys(recipes);
  const only = names.length === 1 ? names[0] : undefined;
  const recipe = Object.entries(recipes).find(([name]) => name === (chosen ?? only))?.[1];
  if (recipe) return recipe;
  const [first] = names;
  if (first === undefined) throw notARecipe(path, { found: 'no recipes' });
  throw new RequestError({
    problem:
      chosen === undefined ? `${path} has several recipes.` : `${path} has no recipe ${excerpt(chosen)}.`,
    details: { 'it has': firstOf(names) },
    advice: `Name one: ${path}#${excerpt(first)}`,
  });
}

/**
 * Plans each weight with the bits that a recipe gives it; a weight without an entry, or with 16, stays unchanged.
 * One name fits a checkpoint's weights, ONNX files, our packages and Apple's.
 */
export function planRecipe(recipe: Recipe): QuantizationPlan {
  checkArguments('planRecipe', { recipe: [recipe, z.map(z.string(), z.number())] });
  const wanted = new Map([...recipe].map(([name, bits]) => [weightKey(name), bits]));
  return ({ name }) => {
    const bits = paletteBits.find((each) => each === wanted.get(weightKey(name)));
    return bits && { kind: 'palette', bits };
  };
}

/** The names in a recipe that none of the weights has; those that it leaves as they are do not count. */
export function namesWithoutWeight(recipe: Recipe, weights: Iterable<string>): string[] {
  const keys = new Set([...weights].map(weightKey));
  return [...recipe].flatMap(([name, bits]) =>
    bits === UNTOUCHED || keys.has(weightKey(name)) ? [] : [name],
  );
}

/** Writes a recipe; names as the model has them. */
export async function writeRecipe(path: string, recipe: Recipe): Promise<void> {
  await writeJson(path, Object.fromEntries(recipe), 1);
}

function weightKey(name: string): string {
  return plainName(name).replace(/_weight$/, '');
}
