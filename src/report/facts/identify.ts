import { z } from 'zod';
import { commandAgain } from '../../bundle/command-again.ts';
import {
  type Family,
  familyOfTextChannels,
  familyTitles,
  kindByChannels,
  kindTitles,
} from '../../checkpoint/family.ts';
import type { DeclaredValue } from '../../formats/artifact.ts';
import { parsePath } from '../../formats/artifact-id.ts';
import { formatOfEnding } from '../../formats/format.ts';
import type { ArtifactRecord, Provenance } from '../../formats/provenance.ts';
import type { CheckpointInspection } from '../../inspect/inspection.ts';
import { optimumInput } from '../../run/tensor-names.ts';
import { type Card, isUNet } from '../card.ts';
import type { CollectedFile } from './collect-files.ts';
import type { Licence } from './licence.ts';

/** What is known of a conversion's origin. */
export interface Origin {
  readonly provenance: Provenance | undefined;
  /** The checkpoint that it was compared with, where it was one. */
  readonly checkpoint: CheckpointInspection | undefined;
  readonly licence: Licence | undefined;
  readonly scheduler: string | null;
}

/** The identity of a conversion; `folder` is its name for commands. */
export function identify(
  folder: string,
  files: readonly CollectedFile[],
  { provenance, checkpoint, licence, scheduler }: Origin,
): Card['identity'] {
  const records = Object.entries(provenance?.artifacts ?? {});
  const sources = new Map(records.flatMap(([, { source }]) => Object.entries(source)));
  const again = provenance
    ? commandAgain(provenance, folder)
    : { command: null, note: 'There is no sdconvert.json: it is not known how it was made.' };
  const prediction = provenance?.pipeline?.scheduler?.prediction_type ?? checkpoint?.predictionType;
  return {
    name: provenance?.checkpoint?.name ?? null,
    hub: (provenance?.hub ?? []).map((each) => ({ ...each, files: [...each.files] })),
    files: [...sources]
      .map(([name, sha256]) => ({ name, sha256 }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...recognition(files, checkpoint),
    prediction: typeof prediction === 'string' ? prediction : null,
    scheduler,
    loras: lorasOf(records),
    licence: licence ?? null,
    recipe: recipeOf(records),
    command: again.command,
    commandNote: again.note,
  };
}

/** Family and task, by what the UNet takes; else as its checkpoint was recognised. */
function recognition(
  files: readonly CollectedFile[],
  checkpoint: CheckpointInspection | undefined,
): Pick<Card['identity'], 'family' | 'task' | 'recognised'> {
  const inputs = files.filter(({ file }) => isUNet(file)).flatMap(({ facts }) => facts?.inputs ?? []);
  const sample = inputs.find(({ name }) => name === 'sample')?.shape?.[1];
  const kind = typeof sample === 'number' ? kindByChannels(sample) : undefined;
  const isLcm = inputs.some(({ name }) => name === 'timestep_cond');
  const task = checkpoint?.task ?? (kind ? kindTitles[isLcm ? 'lcm' : kind] : null);
  const channels = textChannels(inputs);
  const family: Family | undefined = channels === undefined ? undefined : familyOfTextChannels(channels);
  if (family)
    return {
      family: familyTitles[family],
      task,
      recognised: `certain: only this family’s UNet reads text of ${channels} channels`,
    };
  if (checkpoint?.family)
    return {
      family: checkpoint.family,
      task,
      recognised: `likely: by the checkpoint’s layers; text of ${channels ?? 'unknown'} channels is no published model’s`,
    };
  const recognised =
    channels === undefined ? 'there is no UNet' : `text of ${channels} channels is no published model’s`;
  return { family: null, task, recognised };
}

/** Channels of the text that a UNet reads: [B,S,C], or Apple’s [B,C,1,S]. */
function textChannels(inputs: readonly DeclaredValue[]): number | undefined {
  const { shape } = inputs.find(({ name }) => optimumInput(name) === 'encoder_hidden_states') ?? {};
  const channels = shape?.length === 4 ? shape[1] : shape?.[2];
  return typeof channels === 'number' ? channels : undefined;
}

/** LoRAs on record, which may come from anybody. */
const loraRecords = z.array(z.object({ name: z.string(), scale: z.number(), sha256: z.string() }));

type Records = readonly (readonly [string, ArtifactRecord])[];

function lorasOf(records: Records): Card['identity']['loras'] {
  const found = new Map<string, Card['identity']['loras'][number]>();
  for (const [, { options }] of records)
    for (const { name, scale, sha256 } of loraRecords.safeParse(options.loras).data ?? [])
      found.set(`${sha256} ${scale}`, { name, scale, sha256 });
  return [...found.values()];
}

/** The options that the models were made with, and which of them where they differ. */
function recipeOf(records: Records): Card['identity']['recipe'] {
  const made = records.filter(([, { options }]) => 'precision' in options);
  const values = new Map<string, Set<string>>();
  for (const [path, { options }] of made)
    for (const [option, value] of Object.entries(options)) {
      if (value === undefined || option === 'loras') continue;
      const key = JSON.stringify([option, typeof value === 'string' ? value : JSON.stringify(value)]);
      values.set(key, (values.get(key) ?? new Set()).add(path));
    }
  const packages = made.filter(([path]) => isPackage(path)).length;
  return [...values].map(([key, paths]) => {
    const [option, value]: [string, string] = JSON.parse(key);
    return { option, value, of: ownersOf([...paths], { all: made.length, packages }) };
  });
}

/** Which models an option is of, in short. */
function ownersOf(paths: readonly string[], of: { readonly all: number; readonly packages: number }): string {
  if (paths.length === of.all) return 'all models';
  const packages = paths.filter(isPackage).length;
  if (packages === of.packages && packages === paths.length) return 'Core ML packages';
  if (packages === 0 && paths.length === of.all - of.packages) return 'ONNX models';
  return [...new Set(paths.map((path) => parsePath(path).network ?? path))].join(', ');
}

function isPackage(path: string): boolean {
  return formatOfEnding(path) === 'mlpackage';
}
