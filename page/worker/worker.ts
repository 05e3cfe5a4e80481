import { InterruptedError, SdConvertError } from '../../src/errors.ts';
import { decodePng } from '../../src/generate/png.ts';
import { psnr } from '../../src/validate/psnr.ts';
import type { WebPlan } from '../../src/web/web-plan.ts';
import type { DrawRequest, FromWorker, Pixels, ToWorker } from '../messages.ts';
import { chooseDevice, loadOnnxruntime } from './device.ts';
import { type Drawing, draw } from './draw.ts';
import type { Encoding } from './encode.ts';
import { bytesOf, Networks } from './networks.ts';
import { WeightFiles } from './weight-files.ts';

/** The page's other thread: downloads, loads and runs the models, so that the page itself never waits. */

let page: Encoding | undefined;
let stop = new AbortController();
let previous: Promise<void> = Promise.resolve();

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'stop') return stop.abort();
  previous = previous.then(() => answer(data)).catch(fail);
});

async function answer(message: Exclude<ToWorker, { type: 'stop' }>): Promise<void> {
  if (message.type === 'open') return open(message.plan, message.wanted);
  if (!page) throw new Error('The models were not opened.');
  if (message.type === 'draw') return drawFor(page, message.request);
  await page.files.forget();
  tell({ type: 'forgotten' });
}

async function open(plan: WebPlan, wanted: 'wasm' | 'webgpu' | undefined): Promise<void> {
  const { notes, ...device } = await chooseDevice(plan, wanted);
  const ort = await loadOnnxruntime(device);
  const files = await WeightFiles.open();
  page = { plan, files, networks: new Networks(ort, plan, files, device) };
  tell({ type: 'opened', device, notes });
}

async function drawFor(opened: Encoding, request: DrawRequest): Promise<void> {
  stop = new AbortController();
  const drawing = following(opened);
  const { picture, secondsPerStep } = await draw(opened, request, drawing);
  // The picture is there, whatever has become of the demo's.
  const psnr = await distanceFromDemo(opened, request, picture, drawing).catch((error: Error) => {
    drawing.onNote(error.message);
    return undefined;
  });
  tell({ type: 'drawn', picture, request, secondsPerStep, psnr });
}

function following({ plan }: Encoding): Drawing {
  const total = bytesOf(Object.values(plan.models));
  let done = 0;
  return {
    signal: stop.signal,
    onBytes: (count) => {
      done += count;
      tell({ type: 'progress', what: 'models', done, total: Math.max(total, done), unit: 'bytes' });
    },
    onNote: (text) => tell({ type: 'note', text }),
    onStep: (step, of) => tell({ type: 'progress', what: 'steps', done: step, total: of, unit: 'steps' }),
    onPreview: (step, picture) => tell({ type: 'step', step, picture }),
  };
}

/** PSNR in dB from the picture that Node drew, where the request is the demo's. */
async function distanceFromDemo(
  { plan, files }: Encoding,
  request: DrawRequest,
  picture: Pixels,
  drawing: Drawing,
): Promise<number | undefined> {
  const { demo, schedulers } = plan;
  const isDemo =
    demo &&
    (['prompt', 'seed', 'steps', 'guidanceScale'] as const).every((key) => demo[key] === request[key]) &&
    request.negativePrompt === '' &&
    request.scheduler === schedulers[0] &&
    !request.start;
  if (!isDemo) return undefined;
  const expected = decodePng(
    await files.read(demo.picture, { ...drawing, onBytes: () => {} }),
    demo.picture.path,
  );
  if (expected.width !== picture.width || expected.height !== picture.height) return undefined;
  return psnr(expected.data, picture.data);
}

function fail(error: unknown): void {
  const wasStopped = error instanceof InterruptedError || stop.signal.aborted;
  // What the library says else is for its own callers, and the options of the command line.
  const text =
    error instanceof SdConvertError ? error.problem : error instanceof Error ? error.message : String(error);
  tell(wasStopped ? { type: 'stopped' } : { type: 'failed', text });
}

function tell(message: FromWorker): void {
  postMessage(message);
}
