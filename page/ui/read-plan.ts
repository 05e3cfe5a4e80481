import { onOneLine } from '../../src/text.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';

/** Browsers have buffers of less, and `web` writes no larger file. */
const MOST_BYTES = 2 ** 31;
/** What `web` lays out has a few of each; a longer list is another program's, or damaged. */
const MOST = 1000;
/** As numbers of latents may be in configurations. */
const [LARGEST_SIDE, LARGEST_SCALE] = [1024, 1e6];

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
  const wrong = checkPlan(plan, '');
  if (wrong !== undefined)
    throw new Error(`plan.json is damaged, or not of this version: ${onOneLine(wrong, 500)}; ${ADVICE}`);
  return plan as WebPlan; // as: it has just been checked
}

/** The first thing that is wrong with the value of that name; `undefined` where nothing is. Nothing is made a text to look at it. */
type Check = (found: unknown, name: string) => string | undefined;

function value(is: string, test: (found: unknown) => boolean): Check {
  return (found, name) => (test(found) ? undefined : `${name} is not ${is}`);
}

const text = value('a text', (found) => typeof found === 'string');
const truth = value('true or false', (found) => typeof found === 'boolean');
const sha256 = value('a SHA-256', (found) => typeof found === 'string' && /^[0-9a-f]{64}$/.test(found));
const path = value('a path in the folder of the page', isInside);

function number(is: string, test: (found: number) => boolean): Check {
  return value(
    `a number${is}`,
    (found) => typeof found === 'number' && Number.isFinite(found) && test(found),
  );
}

function whole(least: number, most: number): Check {
  const is = `a whole number from ${least} to ${most.toLocaleString('en')}`;
  return value(
    is,
    (found) => typeof found === 'number' && Number.isInteger(found) && found >= least && found <= most,
  );
}

function oneOf(names: readonly string[]): Check {
  return value(`one of ${names.join(', ')}`, (found) => typeof found === 'string' && names.includes(found));
}

function optional(check: Check): Check {
  return (found, name) => (found === undefined ? undefined : check(found, name));
}

/** The first thing that is wrong in any of the parts. */
function first(
  parts: readonly (readonly [found: unknown, check: Check, name: string])[],
): string | undefined {
  for (const [found, check, name] of parts) {
    const wrong = check(found, name);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function list(of: Check, is: string, test: (length: number) => boolean): Check {
  return (found, name) =>
    Array.isArray(found) && test(found.length)
      ? first(found.map((each, index) => [each, of, `${name}[${index}]`]))
      : `${name} is not a list of ${is}`;
}

const few = (of: Check) => list(of, `at most ${MOST.toLocaleString('en')}`, (length) => length <= MOST);
const pair = (of: Check) => list(of, '2', (length) => length === 2);

/** An object with at least these properties, none of them inherited. */
function fields(checks: Readonly<Record<string, Check>>): Check {
  return (found, name) =>
    isObject(found)
      ? first(
          Object.entries(checks).map(([key, check]) => [
            Object.hasOwn(found, key) ? found[key] : undefined,
            check,
            name ? `${name}.${key}` : key,
          ]),
        )
      : `${name || 'it'} is not an object`;
}

/** An object with any names, which may be anybody's. */
function named(of: Check): Check {
  return (found, name) => {
    if (!isObject(found)) return `${name} is not an object`;
    const entries = Object.entries(found);
    if (entries.length > MOST) return `${name} has more than ${MOST.toLocaleString('en')} names`;
    return first(
      entries.map(([key, each]) => [each, of, `${name}.${/^\w+$/.test(key) ? key : JSON.stringify(key)}`]),
    );
  };
}

const file = { path, byteLength: whole(0, MOST_BYTES), sha256 };
const statistics = optional(few(number('', () => true)));

const checkPlan = fields({
  title: text,
  unet: fields({
    family: oneOf(['sd1', 'sd2', 'sdxl', 'sdxl-refiner']),
    size: pair(whole(1, LARGEST_SIDE)),
    multiple: optional(whole(1, LARGEST_SIDE)),
    tokens: optional(whole(1, 2 ** 16)),
    guidanceChannels: optional(whole(1, 2 ** 16)),
  }),
  latents: fields({
    channels: whole(1, 64),
    pixels: whole(1, 64),
    scale: bothStatistics(
      fields({
        factor: number(' above 0, at most 1,000,000', (found) => found > 0 && found <= LARGEST_SCALE),
        shift: number(' from −1,000,000 to 1,000,000', (found) => Math.abs(found) <= LARGEST_SCALE),
        mean: statistics,
        std: statistics,
      }),
    ),
  }),
  models: named(
    fields({ model: fields(file), data: few(fields({ ...file, name: text })), isFloat16: truth }),
  ),
  tokenizers: named(fields(file)),
  scheduler: fields({ _class_name: text }),
  schedulers: few(text),
  zerosForEmptyPrompt: truth,
  memory: fields({ wasm: number('', () => true), webGpu: number('', () => true) }),
  demo: optional(
    fields({
      prompt: text,
      seed: whole(0, 2 ** 32 - 1),
      steps: whole(1, 1e5),
      guidanceScale: number('', () => true),
      picture: fields(file),
    }),
  ),
});

/** A mean and a deviation of each channel, or neither. */
function bothStatistics(check: Check): Check {
  return (found, name) =>
    check(found, name) ??
    (isObject(found) && lengthOf(found.mean) !== lengthOf(found.std)
      ? `${name}.mean is not as long as std`
      : undefined);
}

function lengthOf(found: unknown): number | undefined {
  return Array.isArray(found) ? found.length : undefined;
}

function isObject(found: unknown): found is Readonly<Record<string, unknown>> {
  return typeof found === 'object' && found !== null && !Array.isArray(found);
}

/** Whether a path stays in the folder of the page. */
function isInside(found: unknown): boolean {
  if (typeof found !== 'string' || found.length > 1000 || !found.isWellFormed()) return false;
  return found.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
