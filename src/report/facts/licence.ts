import { join } from 'node:path';
import { z } from 'zod';
import { pathKind, readText } from '../../io/disk.ts';
import { parseYaml, YamlProblem } from '../../io/yaml.ts';
import type { Card } from '../card.ts';

/** A licence as a model card of the Hub names it. */
export type Licence = NonNullable<Card['identity']['licence']>;

const LARGEST_CARD = 4e6;

const MOST_ALIASES = 10;

/** Longer than the front matter of any card: what is longer is not read. */
const LONGEST_MATTER = 32_000;

/** The front matter of a model card, as far as it speaks of the licence. */
const frontMatter = z.looseObject({
  license: z.string(),
  license_name: z.string().optional(),
  license_link: z.string().optional(),
});

/** The licence in the model card (`README.md`) of a checkpoint’s folder; `undefined` where none is named. */
export async function licenceIn(folder: string): Promise<Licence | undefined> {
  const file = join(folder, 'README.md');
  if ((await pathKind(file)) !== 'file') return undefined;
  const [, yaml] = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---/.exec(await readText(file, LARGEST_CARD)) ?? [];
  if (yaml === undefined || yaml.length > LONGEST_MATTER) return undefined;
  const { data } = frontMatter.safeParse(parsed(yaml));
  if (!data) return undefined;
  const { license: id, license_name: name = null, license_link: link = null } = data;
  return { id, name, link, from: 'the model card of the checkpoint' };
}

/** Somebody's YAML; `undefined` where it is none. */
function parsed(yaml: string): unknown {
  try {
    return parseYaml(yaml, MOST_ALIASES).value;
  } catch (error) {
    if (error instanceof YamlProblem) return undefined;
    throw error;
  }
}
