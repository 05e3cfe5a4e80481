import { RequestError } from '../errors.ts';
import { shown } from '../io/error-text.ts';
import { type Checkpoint, requireComponent } from './checkpoint.ts';
import { completeControlNet } from './complete-controlnet.ts';
import type { Component, OpenComponent } from './component.ts';
import { type Family, familyOf, familyTitles, textWidth } from './family.ts';

/** Parts from elsewhere, which join a checkpoint's components or replace them. */
export interface CheckpointParts {
  /** The checkpoint of the refiner. */
  readonly refiner?: Checkpoint | undefined;
  /** Replaces the base's VAE. */
  readonly vae?: OpenComponent | undefined;
  /** Added to those of the base. */
  readonly controlnets?: readonly OpenComponent[] | undefined;
}

/**
 * Composes a checkpoint from a base and other parts, as components `refiner`, `vae`, `controlnet`, `controlnet_1`, …;
 * closing it closes them all. Throws `NotFoundError` for a refiner without a UNet and `RequestError` for a part of
 * another family and for two ControlNets of the same name; everything stays open then.
 */
export function composeCheckpoint(base: Checkpoint, parts: CheckpointParts): Checkpoint {
  const { refiner, vae } = parts;
  const controlnets = (parts.controlnets ?? []).map((each) =>
    completeControlNet(each, base.components.get('unet')),
  );
  const components = new Map(base.components);
  const put = (name: string, component: Component): void => {
    components.set(name, { ...component, name });
  };

  if (refiner) put('refiner', refinerOf(base, refiner));
  if (vae) put('vae', vae);
  let number = [...base.components.keys()].filter((name) => /^controlnet(_\d+)?$/.test(name)).length;
  checkNames(controlnets);
  for (const controlnet of controlnets) {
    checkText(base, controlnet);
    put(number === 0 ? 'controlnet' : `controlnet_${number}`, controlnet);
    number++;
  }

  const opened = [base, refiner, vae, ...controlnets].filter((part) => part !== undefined);
  return {
    ...base,
    components,
    missing: base.missing.filter((name) => !components.has(name)),
    notes: opened.flatMap(({ notes }) => notes),
    async close() {
      await Promise.all(opened.map((part) => part.close()));
    },
  };
}

function refinerOf(base: Checkpoint, refiner: Checkpoint): Component {
  const unet = requireComponent(refiner, 'unet');
  if (refiner.family === 'sdxl-refiner') {
    if (base.family !== undefined && base.family !== 'sdxl') throw notRefined(base, base.family);
    return { ...unet, id: refiner.name };
  }
  throw new RequestError({
    problem: `${refiner.path} is not a refiner.`,
    details: {
      expected: familyTitles['sdxl-refiner'],
      found: refiner.family ? familyTitles[refiner.family] : 'another model',
    },
    advice: 'Give the refiner of Stable Diffusion XL, or leave it out.',
  });
}

/** A refiner continues denoising the base's latents, so both must be of one family. */
function notRefined({ path }: Checkpoint, family: Family): RequestError {
  return new RequestError({
    problem: `${path} cannot have a refiner: its family is ${familyTitles[family]}.`,
    details: { expected: familyTitles.sdxl, found: familyTitles[family] },
    advice: 'Leave out the refiner, or give it to a checkpoint of Stable Diffusion XL.',
  });
}

/** Refuses two ControlNets of the same name: they would be written to the same path. */
function checkNames(controlnets: readonly OpenComponent[]): void {
  const fileOf = new Map<string, string>();
  for (const { id, configFile, files } of controlnets) {
    const [file = configFile] = files;
    const other = id === undefined ? undefined : fileOf.get(id);
    if (id === undefined || other === undefined) {
      if (id !== undefined) fileOf.set(id, file);
      continue;
    }
    throw new RequestError({
      problem: `two ControlNets are called ${id}: one would overwrite the other.`,
      details: { first: other, second: file },
      advice: 'Rename the folder or file of one of them, or convert them into two outputs.',
    });
  }
}

/** A ControlNet reads the same hidden states of text as the UNet: refuses other widths. What a config says wrongly is told with its network. */
function checkText(base: Checkpoint, controlnet: Component): void {
  const unet = base.components.get('unet');
  if (!unet) return;
  const [own, needed] = [controlnet, unet].map(
    ({ weights, config }): unknown => textWidth(weights) ?? config.cross_attention_dim,
  );
  if (own === needed) return;
  const nameOf = ({ weights }: Component): string => {
    const family = familyOf(weights);
    return family ? familyTitles[family] : 'another model';
  };
  throw new RequestError({
    problem: `the ControlNet was trained for another family than ${base.name}: it reads text of ${shown(own)} channels, the UNet of ${shown(needed)}.`,
    details: {
      ControlNet: `${nameOf(controlnet)}, ${controlnet.configFile}`,
      UNet: `${nameOf(unet)}, ${unet.configFile}`,
    },
    advice: `Take a ControlNet for ${nameOf(unet)}.`,
  });
}
