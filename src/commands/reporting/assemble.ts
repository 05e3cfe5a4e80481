import { basename, resolve } from 'node:path';
import { checkClient } from '../../bundle/check-clients.ts';
import { nameOnHub } from '../../bundle/hub-names.ts';
import { profiles, usualClients } from '../../bundle/profiles/profiles.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { Card, CardFile } from '../../report/card.ts';
import { type MeasuredVerdicts, parityOf } from '../../report/facts/compare.ts';
import { flatAttention } from '../../report/facts/flat-attention.ts';
import { identify } from '../../report/facts/identify.ts';
import { judgeCard } from '../../report/facts/judge-card.ts';
import { layersOf } from '../../report/facts/layers.ts';
import { licenceIn } from '../../report/facts/licence.ts';
import { limitsOf } from '../../report/facts/limits.ts';
import { lintFolder } from '../../report/facts/lint-folder.ts';
import { lintRules } from '../../report/facts/lint-rules.ts';
import { notCheckedOf } from '../../report/facts/not-checked.ts';
import { version } from '../../version.ts';
import { curveFor } from './curve-for.ts';
import { type ReadFolder, shownPath } from './read-folder.ts';
import type { ReportRequest } from './request.ts';
import { withoutPaths } from './without-paths.ts';

/** All that a card is made of. */
export interface CardParts extends ReadFolder {
  readonly request: ReportRequest;
  /** The reference as it was given, which may be an id on the Hub. */
  readonly reference: string | undefined;
  readonly measured: readonly MeasuredVerdicts[];
  readonly checkpoint: Checkpoint | undefined;
  readonly pictures: Card['pictures'];
  readonly signal?: AbortSignal | undefined;
}

/** Assembles a card but for its cost. Throws what reading weights and configs throws. */
export async function assembleCard(parts: CardParts): Promise<Omit<Card, 'cost'>> {
  const { request, provenance, problems, scheduler, inspected, measured, checkpoint, pictures } = parts;
  const files = parts.files.map(({ file }) => file);
  const names = namesOf(parts);
  const licence = inspected && (await licenceIn(inspected.path));
  const identity = identify(names.folder, parts.files, {
    provenance,
    checkpoint: inspected,
    licence,
    scheduler,
  });
  const parity = parityOf(request.folder, measured, files, identity.family);
  // With LoRAs, the weights are not the checkpoint's own.
  const originals = identity.loras.length === 0 ? checkpoint : undefined;
  const layers = await layersOf(request.folder, files, originals);
  const curve = await curveFor(request, layers, files);
  const flat = await flatAttention(request.folder, files);
  const lint = [
    ...lintFolder(problems, files, provenance?.artifacts ?? {}, await clientChecks(parts, files)),
    ...lintRules({
      files,
      family: identity.family,
      settings: provenance?.pipeline,
      scheduler,
      flatAttention: flat,
    }),
  ];
  const hasConversionCost = (request.conversion ?? null) !== null;
  const card = {
    sdconvert: version,
    folder: names.folder,
    verdict: judgeCard({ ...names, floor: request.minPsnr, parity, lint }),
    ...{ identity, files, limits: limitsOf(files), parity, pictures, layers, curve, lint },
    notChecked: notCheckedOf({ ...names, files, parity, pictures, layers, curve, hasConversionCost }),
  };
  return withoutPaths(card, [
    request.folder,
    ...(request.reference === undefined ? [] : [request.reference]),
  ]);
}

/** The folder and the reference as commands name them. */
function namesOf({ request, reference, provenance }: CardParts) {
  const [onHub] = (provenance && nameOnHub(provenance)) ?? [];
  return {
    folder: basename(resolve(request.folder)),
    reference: reference === undefined ? (onHub ?? 'CHECKPOINT') : shownPath(reference),
  };
}

/** What the clients that were named would refuse; else the usual ones of the folders that are there. */
async function clientChecks({ request: { folder, clients }, signal }: CardParts, files: readonly CardFile[]) {
  const usual = Object.values(usualClients).filter((client) =>
    files.some(({ path }) => path.startsWith(`${profiles[client].folder}/`)),
  );
  const checks = [];
  // Of what is on record hashes were compared while the folder was read; all of the weights is read where that is asked for.
  const areNamed = clients !== undefined;
  for (const client of clients ?? usual)
    checks.push(await checkClient(client, folder, { hashes: areNamed, signal }));
  return { checks, areNamed };
}
