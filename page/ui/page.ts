import type { WebPlan } from '../../src/web/web-plan.ts';
import type { Device, DrawRequest, FromWorker, ToWorker } from '../messages.ts';
import { DrawnPicture } from './drawn-picture.ts';
import { fill, readRequest, showDemo } from './form.ts';
import { PictureDrop } from './picture-drop.ts';
import { readPlan } from './read-plan.ts';

/** The page: a form, a picture, and a worker that draws. */

customElements.define('drawn-picture', DrawnPicture);
customElements.define('picture-drop', PictureDrop);

const form = found('form', HTMLFormElement);
const fields = found('fields', HTMLFieldSetElement);
const drop = found('start', PictureDrop);
const picture = found('picture', DrawnPicture);
const progress = found('progress', HTMLProgressElement);
const button = (id: string) => found(id, HTMLButtonElement);

/** Whether the models can be drawn with. */
let isOpen = false;

const worker = new Worker('worker.js', { type: 'module' });
const send = (message: ToWorker) => worker.postMessage(message);

start().catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));

async function start(): Promise<void> {
  text('device', 'Opening …'); // without what is said where no script runs
  const response = await fetch('plan.json').catch(() => undefined);
  if (!response?.ok)
    throw new Error('plan.json is missing: serve the whole folder, for example with sdconvert serve.');
  const plan = readPlan(await response.text());
  text('title', `Draw with ${plan.title}`);
  document.title = `Draw with ${plan.title}`;
  text('kept', `(${megabytes(sizeOf(plan))}, downloaded once)`);
  fill(form, plan);
  drop.hidden = !('vae_encoder' in plan.models);
  button('demo').hidden = !plan.demo;
  listen(plan);
  const wanted = new URLSearchParams(location.search).get('device');
  send({ type: 'open', plan, wanted: wanted === 'wasm' || wanted === 'webgpu' ? wanted : undefined });
}

function listen(plan: WebPlan): void {
  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => hear(data));
  worker.addEventListener('error', (event) =>
    fail(`The worker ended (${event.message}): load the page again.`),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    draw(readRequest(form, drop));
  });
  form.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  button('stop').addEventListener('click', () => send({ type: 'stop' }));
  button('new-seed').addEventListener('click', () => {
    const [seed = 0] = crypto.getRandomValues(new Uint32Array(1));
    found('seed', HTMLInputElement).value = String(seed);
  });
  button('demo').addEventListener('click', () => {
    drop.clear();
    showDemo(form, plan);
    form.requestSubmit();
  });
  button('save').addEventListener('click', () => void save());
  button('forget').addEventListener('click', () => send({ type: 'forget' }));
}

function draw(request: DrawRequest): void {
  text('error', '');
  found('notes', HTMLUListElement).replaceChildren();
  picture.caption = '';
  setBusy(true);
  picture.scrollIntoView({ block: 'nearest' });
  text('status', 'Loading the models …');
  send({ type: 'draw', request });
}

function hear(message: FromWorker): void {
  if (message.type === 'opened') {
    isOpen = true;
    text('device', [describe(message.device), ...message.notes].join(' '));
    setBusy(false);
  } else if (message.type === 'note') note(message.text);
  else if (message.type === 'progress') advance(message);
  else if (message.type === 'step') picture.show(message.picture, `The picture after step ${message.step}`);
  else if (message.type === 'drawn') show(message);
  else if (message.type === 'failed') fail(message.text);
  else {
    setBusy(false);
    text('status', message.type === 'stopped' ? 'Stopped.' : FORGOTTEN);
  }
}

const FORGOTTEN = 'The models were removed; the next picture downloads them again.';

function advance({ done, total, unit }: Extract<FromWorker, { type: 'progress' }>): void {
  Object.assign(progress, { value: done, max: total, hidden: false });
  text(
    'status',
    unit === 'bytes' ? `Models: ${megabytes(done)} of ${megabytes(total)}` : `Step ${done} of ${total}`,
  );
}

function show({ picture: drawn, request, secondsPerStep, psnr }: Extract<FromWorker, { type: 'drawn' }>) {
  picture.show(drawn, request.prompt);
  picture.fileName = fileName(request);
  const pace = `${secondsPerStep.toPrecision(2)} s a step`;
  const likeness =
    psnr === undefined
      ? []
      : [
          psnr === Number.POSITIVE_INFINITY
            ? 'the same picture as in Node, byte for byte'
            : `${psnr.toFixed(1)} dB from Node’s picture`,
        ];
  picture.caption = [
    `Seed ${request.seed}`,
    `${request.steps} steps`,
    request.scheduler,
    pace,
    ...likeness,
  ].join(' · ');
  button('save').hidden = false;
  setBusy(false);
  text('status', 'Done.');
}

function fileName({ prompt, seed }: DrawRequest): string {
  return `${prompt.slice(0, 75).replaceAll(/[^\p{L}\p{N}]+/gu, '_')}.${seed}.png`;
}

async function save(): Promise<void> {
  const file = await picture.png();
  if (!file) return;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = picture.fileName;
  link.click();
  URL.revokeObjectURL(link.href);
}

function setBusy(isBusy: boolean): void {
  fields.disabled = isBusy || !isOpen;
  for (const id of ['draw', 'demo', 'forget']) button(id).disabled = isBusy || !isOpen;
  button('stop').disabled = !isBusy;
  progress.hidden = true;
}

function fail(message: string): void {
  setBusy(false);
  if (!isOpen) text('device', 'Nothing can be drawn here.');
  text('status', '');
  text('error', message);
}

function note(message: string): void {
  const item = document.createElement('li');
  item.textContent = message;
  found('notes', HTMLUListElement).append(item);
}

function describe({ kind, threads }: Device): string {
  if (kind === 'webgpu') return 'Draws with WebGPU.';
  return `Draws with WebAssembly on ${threads === 1 ? 'one thread' : `${threads} threads`}.`;
}

function sizeOf({ models }: WebPlan): number {
  return Object.values(models)
    .flatMap(({ model, data }) => [model, ...data])
    .reduce((sum, { byteLength }) => sum + byteLength, 0);
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function text(id: string, content: string): void {
  found(id, HTMLElement).textContent = content;
}

/** The element with an id, or of the form with a name. */
function found<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const element = document.getElementById(id) ?? form.elements.namedItem(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${id}.`);
}
