import { join } from 'node:path';
import { NotFoundError } from '../errors.ts';
import type { JsonObject } from '../io/python-json.ts';
import type { Component } from './component.ts';
import { distilledTitle, type Family, familyOf, familyTitles, kindOf, type UNetKind } from './family.ts';
import type { SideFile } from './side-file.ts';

export type { Component } from './component.ts';

/** An open diffusers folder, or a single file read as one. */
export interface Checkpoint {
  /** The folder's own name; a file's without its ending. */
  readonly name: string;
  readonly path: string;
  readonly modelIndex: JsonObject;
  /** What has weights, by folder name, in the order of model_index.json. */
  readonly components: ReadonlyMap<string, Component>;
  /** What has none (scheduler, tokenizer, feature extractor): its files, by folder name. */
  readonly folders: ReadonlyMap<string, readonly SideFile[]>;
  /** What model_index.json names but is not on the disk: a checkpoint may be downloaded in parts. */
  readonly missing: readonly string[];
  /** By the UNet; `undefined` without one. */
  readonly family: Family | undefined;
  /** What the UNet was trained for; `undefined` without one, or for something else. */
  readonly kind: UNetKind | undefined;
  /** What was assumed or left aside, a sentence each, for the user to know. */
  readonly notes: readonly string[];
  close(): Promise<void>;
}

/** The family and kind of a checkpoint with these components. */
export function natureOf(components: ReadonlyMap<string, Component>): Pick<Checkpoint, 'family' | 'kind'> {
  const unet = components.get('unet')?.weights ?? new Map();
  return { family: familyOf(unet), kind: kindOf(unet) };
}

/** A sentence that names the published UNet which a checkpoint's is built like, where that was distilled from a larger one. */
function distilledNote(components: ReadonlyMap<string, Component>, family: Family | undefined): string[] {
  const unet = components.get('unet');
  const title = unet && family && distilledTitle(unet.weights);
  return title
    ? [`The UNet is built like that of ${title}, which was distilled from ${familyTitles[family]}.`]
    : [];
}

/** What its users should know of a checkpoint with these components, a sentence each. */
export function notesOnComponents(
  components: ReadonlyMap<string, Component>,
  family: Family | undefined,
): string[] {
  const { latents_mean: mean } = components.get('vae')?.config ?? {};
  const statistics = Array.isArray(mean)
    ? [
        'The VAE’s latents have means and deviations of their own (latents_mean and latents_std in its config.json): a client that does not read them draws wrong colours.',
      ]
    : [];
  return [...distilledNote(components, family), ...halfNote(components.get('vae')), ...statistics];
}

/** A VAE may come without one of its halves. */
function halfNote(vae: Component | undefined): string[] {
  const names = [...(vae?.weights.keys() ?? [])];
  const halves = ['encoder', 'decoder'].filter((half) => names.some((name) => name.startsWith(`${half}.`)));
  if (halves.length !== 1) return [];
  return [
    `The VAE has no ${halves.includes('encoder') ? 'decoder' : 'encoder'}: the other half is converted.`,
  ];
}

/** A component that is needed. Throws `NotFoundError` when the checkpoint has none, or not on this disk. */
export function requireComponent(checkpoint: Checkpoint, name: string): Component {
  const component = checkpoint.components.get(name);
  if (component) return component;
  const isFolder = [...checkpoint.components.values()].every(({ adapted }) => !adapted);
  if (isFolder && checkpoint.missing.includes(name)) throw notDownloaded(checkpoint.path, [name]);
  throw new NotFoundError({
    problem: `${checkpoint.path} has no ${name}.`,
    details: { 'it has': [...checkpoint.components.keys()].join(', ') },
    advice: 'Leave it out of what is to be converted.',
  });
}

/** The error for components that model_index.json names and that are not on the disk. */
export function notDownloaded(path: string, names: readonly string[]): NotFoundError {
  return new NotFoundError({
    problem: `${path} lacks its ${names.join(', ')}.`,
    details: { 'named in': join(path, 'model_index.json') },
    advice: 'The download is not complete: download what is missing.',
  });
}
