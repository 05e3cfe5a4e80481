import type { WebPlan } from '../../src/web/web-plan.ts';

/** Browsers have buffers of less, and `web` writes no larger file. */
const MOST_BYTES = 2 ** 31;
/** What `web` lays out has a few of each; a longer list is another program's, or damaged. */
const MOST = 1000;

const ADVICE = 'make the page again with sdconvert web --force, or copy the whole folder again.';

/**
 * The plan of the page in the text of `plan.json`. Throws an error of one sentence for anything else: what is fetched, allocated and
 * shown follows from it, and a copy of a page may be cut, or another program's.
 */
export function readPlan(text: string): WebPlan {
  let plan: unknown;
  try {
    plan = JSON.parse(text);
  } catch {
    throw new Error(`plan.json is cut short or damaged: ${ADVICE}`);
  }
  const wrong = wrongIn(plan, planShape, '');
  if (wrong !== undefined)
    throw new Error(`plan.json is damaged, or not of this version: ${wrong.slice(0, 200)}; ${ADVICE}`);
  return plan as WebPlan; // as: it has just been checked
}

/** Says whether a value is right. */
type Test = (value: unknown) => boolean;
/** What is expected: of a value, or of each property of an object. */
type Shape = { readonly test: Test; readonly is: string } | { readonly [name: string]: Shape };

const value = (is: string, test: Test): Shape => ({ is, test });
const isWhole =
  (least: number, most: number): Test =>
  (found) =>
    Number.isInteger(found) && Number(found) >= least && Number(found) <= most;
const text = value('a text', (found) => typeof found === 'string');
const number = value('a number', Number.isFinite);
const truth = value('true or false', (found) => typeof found === 'boolean');
const side = value('a whole number', isWhole(1, 2 ** 16));

function optional(shape: Shape): Shape {
  return value(
    'left out, or right',
    (found) => found === undefined || wrongIn(found, shape, '') === undefined,
  );
}

function list(of: Shape, most = MOST): Shape {
  return value(
    `a list of at most ${most}`,
    (found) => Array.isArray(found) && found.length <= most && found.every((each) => !wrongIn(each, of, '')),
  );
}

function named(of: Shape): Shape {
  return value(
    'an object',
    (found) =>
      isObject(found) &&
      Object.values(found).length <= MOST &&
      Object.values(found).every((each) => !wrongIn(each, of, '')),
  );
}

const file: Shape = {
  path: value('a path in the folder of the page', isInside),
  byteLength: value('a number of bytes', isWhole(0, MOST_BYTES)),
  sha256: value('a SHA-256', (found) => typeof found === 'string' && /^[0-9a-f]{64}$/.test(found)),
};

const planShape: Shape = {
  title: text,
  unet: {
    family: value('a family', (found) => ['sd1', 'sd2', 'sdxl', 'sdxl-refiner'].includes(String(found))),
    size: value(
      'a height and a width',
      (found) => Array.isArray(found) && found.length === 2 && found.every(isWhole(1, 1024)),
    ),
    multiple: optional(side),
    tokens: optional(side),
    guidanceChannels: optional(side),
  },
  latents: {
    channels: side,
    pixels: side,
    scale: { factor: number, shift: number, mean: optional(list(number)), std: optional(list(number)) },
  },
  models: named({ model: file, data: list({ ...file, name: text }), isFloat16: truth }),
  tokenizers: named(file),
  scheduler: value('an object', isObject),
  schedulers: list(text),
  zerosForEmptyPrompt: truth,
  memory: { wasm: number, webGpu: number },
  demo: optional({ prompt: text, seed: number, steps: number, guidanceScale: number, picture: file }),
};

/** The first thing that is wrong with a value; `undefined` where nothing is. */
function wrongIn(found: unknown, shape: Shape, name: string): string | undefined {
  if (isTest(shape)) return shape.test(found) ? undefined : `${name} is not ${shape.is}`;
  if (!isObject(found)) return `${name || 'it'} is not an object`;
  for (const [key, each] of Object.entries(shape)) {
    // Nothing that objects inherit.
    const inner = wrongIn(
      Object.hasOwn(found, key) ? found[key] : undefined,
      each,
      name ? `${name}.${key}` : key,
    );
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function isTest(shape: Shape): shape is { readonly test: Test; readonly is: string } {
  return typeof shape.test === 'function';
}

function isObject(found: unknown): found is Readonly<Record<string, unknown>> {
  return typeof found === 'object' && found !== null && !Array.isArray(found);
}

/** Whether a path stays in the folder of the page. */
function isInside(path: unknown): boolean {
  if (typeof path !== 'string' || path.length > 1000 || !path.isWellFormed()) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
