import { z } from 'zod';
import { FileFormatError, RequestError } from '../errors.ts';
import { type JsonObject, readJsonObject } from '../weights/python-json.ts';

/** Bits for each weight; names as diffusers has them, with or without `.weight`. 16 leaves a weight as it is. */
export type Recipe = ReadonlyMap<string, number>;

/** The bit widths that a recipe may name. */
export const recipeBits = [1, 2, 3, 4, 6, 8, 16] as const;

const bits = z.literal(recipeBits);
const recipeSchema = z.record(z.string().min(1), bits);

/** What mixed_bit_compression_pre_analysis.py of Apple's converter writes: several recipes by name. */
const severalSchema = z.object({ recipes: z.record(z.string(), recipeSchema) });

/**
 * Reads a recipe: `{ "down_blocks.0.….to_q": 4, … }`, as sdconvert and Apple's converter write it. A file of Apple's
 * with several takes the name of one behind a `#`. Throws `FileFormatError` for unknown bits or what is no recipe,
 * `RequestError` when it is not said which of several.
 *
 * @example await readRecipe('sdxl_palettization_recipe.json#recipe_4.04_bit_mixedpalette')
 */
export async function readRecipe(argument: string): Promise<Recipe> {
  const [path = '', chosen] = argument.split('#', 2);
  const json = await readJsonObject(path);
  const found =
    'recipes' in json
      ? pick(parse(severalSchema, json, path).recipes, path, chosen)
      : parse(recipeSchema, json, path);
  if (Object.keys(found).length === 0) throw notARecipe(path, { found: 'no weights' });
  return new Map(Object.entries(found));
}

function parse<Schema extends z.ZodType>(schema: Schema, json: JsonObject, path: string): z.output<Schema> {
  const result = schema.safeParse(json, { reportInput: true });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw notARecipe(path, {
    at: issue?.path.join('.') ?? '',
    found: JSON.stringify(issue?.input),
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
  throw new RequestError({
    problem: chosen === undefined ? `${path} has several recipes.` : `${path} has no recipe ${chosen}.`,
    details: { 'it has': names.join(', ') },
    advice: `Name one: ${path}#${names[0] ?? 'NAME'}`,
  });
}

/**
 * What is the same in the names that a weight has in checkpoints, ONNX files, our packages and Apple's:
 * `mid_block.attentions.0.proj_in.weight`, `mid_block_attentions_0_proj_in_weight_to_fp16_palettized`, ….
 */
export function weightKey(name: string): string {
  return name
    .replace(/(_palettized|_quantized|_to_fp16)+$/, '')
    .replaceAll(/[^\w]/g, '_')
    .replace(/_weight$/, '');
}

/** The bits that a recipe gives to each of these weights. Throws `RequestError` when it names none of them. */
export function bitsByName(recipe: Recipe, names: Iterable<string>): Map<string, number> {
  const wanted = new Map([...recipe].map(([name, value]) => [weightKey(name), value]));
  const found = new Map<string, number>();
  for (const name of names) {
    const value = wanted.get(weightKey(name));
    if (value !== undefined) found.set(name, value);
  }
  if (found.size > 0) return found;
  throw new RequestError({
    problem: 'the recipe names no weight of this model.',
    details: { 'it names': [...recipe.keys()].slice(0, 3).join(', ') },
    advice: 'Use a recipe that was made for the same network (a UNet’s for a UNet).',
  });
}
