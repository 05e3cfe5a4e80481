import { join } from 'node:path';
import { NotFoundError } from '../errors.ts';
import type { ShownFile } from '../hub/snapshot.ts';
import type { JsonObject } from '../io/json/python-json.ts';
import type { Component } from './component.ts';
import { distilledTitle, type Family, familyOf, familyTitles, kindOf, type UNetKind } from './family.ts';
import type { SideFile } from './side-file.ts';

export type { Component } from './component.ts';

/** An open diffusers folder, or a single file read as one. */
export interface Checkpoint {
  /** Name of the folder, or of the file without its ending. */
  readonly name: string;
  readonly path: string;
  readonly modelIndex: JsonObject;
  /** Components with weights, by folder name, in the order of model_index.json. */
  readonly components: ReadonlyMap<string, Component>;
  /** Files of the components without weights (scheduler, tokenizer, feature extractor), by folder name. */
  readonly folders: ReadonlyMap<string, readonly SideFile[]>;
  /** Components that model_index.json names and the disk lacks: a checkpoint may be downloaded in parts. */
  readonly missing: readonly string[];
  /** Family of the UNet; `undefined` without one. */
  readonly family: Family | undefined;
  /** Task that the UNet was trained for; `undefined` without a UNet, or for an unknown task. */
  readonly kind: UNetKind | undefined;
  /** Notes for the user on what was assumed or ignored, a sentence each. */
  readonly notes: readonly string[];
  /** Repositories of the Hub that it comes from, with VAE, ControlNets and LoRAs; absent where none does. */
  readonly hub?: readonly HubSource[] | undefined;
  /** LoRAs that are merged into it, in their order. */
  readonly loras?: readonly MergedLora[] | undefined;
  close(): Promise<void>;
}

/** What was taken of a repository on the Hub. */
export interface HubSource {
  readonly repo: string;
  readonly commit: string;
  readonly files: readonly ShownFile[];
}

/** A LoRA that is merged into a checkpoint. */
export interface MergedLora {
  /** Its id on the Hub, or the name of its file. */
  readonly name: string;
  readonly path: string;
  readonly scale: number;
  /** Number of layers that it changes, by component. */
  readonly layers: Readonly<Record<string, number>>;
}

/** Recognises the family and kind of a checkpoint by its UNet. */
export function natureOf(components: ReadonlyMap<string, Component>): Pick<Checkpoint, 'family' | 'kind'> {
  const unet = components.get('unet')?.weights ?? new Map();
  return { family: familyOf(unet), kind: kindOf(unet) };
}

/** Notes that the UNet has the architecture of a published distilled one. */
function distilledNote(components: ReadonlyMap<string, Component>, family: Family | undefined): string[] {
  const unet = components.get('unet');
  const title = unet && family && distilledTitle(unet.weights);
  return title
    ? [`The UNet is built like that of ${title}, which was distilled from ${familyTitles[family]}.`]
    : [];
}

/** Notes for users of a checkpoint with these components, a sentence each. */
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

/** Notes that a VAE lacks its encoder or its decoder. */
function halfNote(vae: Component | undefined): string[] {
  const names = [...(vae?.weights.keys() ?? [])];
  const halves = ['encoder', 'decoder'].filter((half) => names.some((name) => name.startsWith(`${half}.`)));
  if (halves.length !== 1) return [];
  return [
    `The VAE has no ${halves.includes('encoder') ? 'decoder' : 'encoder'}: the other half is converted.`,
  ];
}

/** Returns a component. Throws `NotFoundError` when the checkpoint has none, or it was not downloaded. */
export function requireComponent(checkpoint: Checkpoint, name: string): Component {
  const component = checkpoint.components.get(name);
  if (component) return component;
  const isFolder = [...checkpoint.components.values()].every(({ adapted }) => !adapted);
  if (isFolder && checkpoint.missing.includes(name)) throw notDownloaded(checkpoint.path, [name]);
  throw new NotFoundError({
    problem: `${checkpoint.path} has no ${name}.`,
    details: { 'it has': [...checkpoint.components.keys()].join(', ') },
    advice: 'Leave it out of the conversion.',
  });
}

/** Error for components that model_index.json names and the disk lacks. */
export function notDownloaded(path: string, names: readonly string[]): NotFoundError {
  return new NotFoundError({
    problem: `${path} lacks its ${names.join(', ')}.`,
    details: { 'named in': join(path, 'model_index.json') },
    advice: 'The download is not complete: download the missing files.',
  });
}
