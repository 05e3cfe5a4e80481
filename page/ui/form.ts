import type { WebPlan } from '../../src/web/web-plan.ts';
import type { DrawRequest } from '../messages.ts';
import type { PictureDrop } from './picture-drop.ts';

/** Values of a page without a demo. */
const usual = { prompt: 'a photograph of a lighthouse at dusk', seed: 7, steps: 20, guidanceScale: 7.5 };

/** Models of fewer bytes show every step from the start: a run of their decoder takes no time. */
const SMALL_DECODER = 20e6;

/** Fills the form with what the models take, and the demo. */
export function fill(form: HTMLFormElement, plan: WebPlan): void {
  const { unet, latents, schedulers, models } = plan;
  const list = control(form, 'scheduler', HTMLSelectElement);
  for (const name of schedulers) list.append(new Option(name, name));
  for (const [name, side] of [
    ['height', unet.size[0]],
    ['width', unet.size[1]],
  ] as const) {
    const field = control(form, name, HTMLInputElement);
    const step = latents.pixels * (unet.multiple ?? 1);
    Object.assign(field, { min: String(step), step: String(step), readOnly: unet.multiple === undefined });
    field.value = String(side * latents.pixels);
  }
  const decoder = models.vae_decoder;
  const bytes = decoder
    ? [decoder.model, ...decoder.data].reduce((sum, { byteLength }) => sum + byteLength, 0)
    : 0;
  control(form, 'showsSteps', HTMLInputElement).checked = bytes < SMALL_DECODER;
  showDemo(form, plan);
}

/** Fills in the demo, or what a page without one begins with. */
export function showDemo(
  form: HTMLFormElement,
  { demo = undefined, schedulers, unet, latents }: WebPlan,
): void {
  const values = {
    ...{ prompt: demo?.prompt ?? usual.prompt, negativePrompt: '', steps: demo?.steps ?? usual.steps },
    ...{ guidanceScale: demo?.guidanceScale ?? usual.guidanceScale, seed: demo?.seed ?? usual.seed },
    ...{
      scheduler: schedulers[0] ?? '',
      height: unet.size[0] * latents.pixels,
      width: unet.size[1] * latents.pixels,
    },
  };
  for (const [name, value] of Object.entries(values)) control(form, name, HTMLElement).value = String(value);
}

/** The picture that the form asks for. */
export function readRequest(form: HTMLFormElement, drop: PictureDrop): DrawRequest {
  const values = new FormData(form);
  const text = (name: string) => String(values.get(name) ?? '');
  const number = (name: string) => Number(values.get(name));
  const [width, height] = [number('width'), number('height')];
  return {
    ...{ prompt: text('prompt'), negativePrompt: text('negativePrompt'), scheduler: text('scheduler') },
    ...{
      steps: number('steps'),
      guidanceScale: number('guidanceScale'),
      seed: number('seed'),
      width,
      height,
    },
    start: drop.start(width, height),
    showsSteps: values.has('showsSteps'),
  };
}

type Control = HTMLElement & { value: string };

function control<T extends HTMLElement>(
  form: HTMLFormElement,
  name: string,
  kind: abstract new () => T,
): T & Control {
  const element = form.elements.namedItem(name);
  if (element instanceof kind && 'value' in element) return element as T & Control; // as: every control has a value
  throw new Error(`The form has no ${name}.`);
}
