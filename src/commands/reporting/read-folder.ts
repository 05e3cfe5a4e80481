import { basename, join, resolve } from 'node:path';
import { NotFoundError } from '../../errors.ts';
import { isConversion, type Provenance, readProvenance } from '../../formats/provenance.ts';
import {
  damageIn,
  type FoundArtifact,
  findArtifacts,
  schedulerOf,
  unfinishedIn,
} from '../../inspect/inspect-artifacts.ts';
import type { CheckpointInspection } from '../../inspect/inspection.ts';
import { nextCommand } from '../../inspect/next-command.ts';
import { pathKind } from '../../io/disk.ts';
import { notFound } from '../../io/not-found.ts';
import { type CollectedFile, collectFiles } from '../../report/facts/collect-files.ts';
import { inspect } from '../inspect.ts';

/** What is known of a folder of models before any of them is run. */
export interface ReadFolder {
  readonly provenance: Provenance | undefined;
  readonly files: readonly CollectedFile[];
  /** What is missing or cut short, a sentence each. */
  readonly problems: readonly string[];
  readonly scheduler: string | null;
  /** The reference, where it is a checkpoint. */
  readonly inspected: CheckpointInspection | undefined;
}

/** The converted models in a folder. Throws `NotFoundError` where there are none, or those of conversions below it. */
export async function requireArtifacts(folder: string): Promise<readonly FoundArtifact[]> {
  const kind = await pathKind(folder);
  if (kind === undefined) throw notFound(folder, 'Name the output folder of a conversion.');
  const found = kind === 'folder' ? await findArtifacts(folder) : [];
  const below = await conversionBelow(folder, found);
  if (below !== undefined)
    throw new NotFoundError({
      problem: `${folder} is no conversion, but holds one: ${below}.`,
      advice: `Name that folder: ${nextCommand('report', join(folder, below)).command}`,
    });
  if (found.length > 0) return found;
  throw new NotFoundError({
    problem: `${folder} holds no converted models to report on.`,
    advice: 'Name the output folder of a conversion.',
  });
}

/** The first folder within, relative to it, whose own record the models are on. */
async function conversionBelow(folder: string, found: readonly FoundArtifact[]): Promise<string | undefined> {
  if (await isConversion(folder)) return undefined;
  const places = found.flatMap(({ path }) =>
    path.split('/').map((_, depth, names) => names.slice(0, depth).join('/')),
  );
  for (const place of new Set(places))
    if (place !== '' && (await isConversion(join(folder, place)))) return place;
  return undefined;
}

/** Reads record and headers of the models `found` in a folder, and what the reference is. Throws what reading throws. */
export async function readFolder(
  folder: string,
  found: readonly FoundArtifact[],
  reference: string | undefined,
): Promise<ReadFolder> {
  const provenance = await readProvenance(folder);
  const records = provenance?.artifacts ?? {};
  const inspected = reference === undefined ? undefined : await inspect({ path: reference });
  return {
    provenance,
    files: await collectFiles(folder, found, records),
    problems: [...unfinishedIn(provenance ?? {}), ...(await damageIn(folder, records))],
    scheduler: await schedulerOf(folder, provenance?.pipeline),
    inspected: inspected?.kind === 'checkpoint' ? inspected : undefined,
  };
}

/** Names for commands: an absolute path would tell of this machine. */
export function shownPath(path: string): string {
  return resolve(path) === path ? basename(path) : path;
}
