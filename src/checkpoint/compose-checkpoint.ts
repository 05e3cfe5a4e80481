import { RequestError } from '../errors.ts';
import { type Checkpoint, requireComponent } from './checkpoint.ts';
import { completeControlNet } from './complete-controlnet.ts';
import type { Component, OpenComponent } from './component.ts';
import { type Family, familyOf, familyTitles } from './family.ts';

/** What comes from elsewhere: beside a checkpoint's own networks, or in their place. */
export interface CheckpointParts {
  /** The checkpoint whose UNet refines what the base's UNet begins. */
  readonly refiner?: Checkpoint | undefined;
  /** In the place of the base's. */
  readonly vae?: OpenComponent | undefined;
  /** Beside those that the base may have. */
  readonly controlnets?: readonly OpenComponent[] | undefined;
}

/**
 * One checkpoint of a base and parts from elsewhere, as components `refiner`, `vae`, `controlnet`, `controlnet_1`, …;
 * closing it closes them all. Throws `NotFoundError` for a refiner without a UNet and `RequestError` for what was not
 * trained for the base's family and for two ControlNets of one name; everything stays open then.
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

/** A refiner goes on with the latents of its own family: those of others mean something else. */
function notRefined({ path }: Checkpoint, family: Family): RequestError {
  return new RequestError({
    problem: `${path} cannot have a refiner: it is of ${familyTitles[family]}.`,
    details: { expected: familyTitles.sdxl, found: familyTitles[family] },
    advice: 'Leave out the refiner, or give it to a checkpoint of Stable Diffusion XL.',
  });
}

/** Two that are called the same would be written to the same place. */
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
      problem: `two ControlNets are called ${id}: one would be written over the other.`,
      details: { first: other, second: file },
      advice: 'Give one of them another name, that of its folder or file, or convert them to two places.',
    });
  }
}

/** A ControlNet reads what the UNet reads: text of as many channels. */
function checkText(base: Checkpoint, controlnet: Component): void {
  const unet = base.components.get('unet');
  if (!unet || unet.config.cross_attention_dim === controlnet.config.cross_attention_dim) return;
  const nameOf = ({ weights }: Component): string => {
    const family = familyOf(weights);
    return family ? familyTitles[family] : 'another model';
  };
  throw new RequestError({
    problem: `the ControlNet was trained for another family than ${base.name}: it reads text of ${controlnet.config.cross_attention_dim} channels, the UNet of ${unet.config.cross_attention_dim}.`,
    details: {
      ControlNet: `${nameOf(controlnet)}, ${controlnet.configFile}`,
      UNet: `${nameOf(unet)}, ${unet.configFile}`,
    },
    advice: `Take a ControlNet for ${nameOf(unet)}.`,
  });
}
