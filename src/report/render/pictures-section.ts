import { decibelText } from '../../validate/decibels.ts';
import type { Card } from '../card.ts';
import type { EmbeddedPicture } from '../pictures/embedded.ts';
import { html, type Inserted, Markup } from './markup.ts';
import { commandLine, type Section, table } from './table.ts';

type Images = ReadonlyMap<string, EmbeddedPicture>;

/** Pictures of this many pixels and fewer are shown with their pixels. */
const SMALL = 128;

/** Which network changes the pictures: the same prompt and noise, one network of the conversion at a time. */
export function attributionSection({ pictures, notChecked }: Card, images: Images): Section {
  const common = { id: 'attribution', title: 'Which network changes the picture' };
  if (!pictures) return { ...common, body: missing(notChecked) };
  const { swapped, gain } = pictures;
  const rows = swapped.map(({ network, psnr, ssim }) => [
    network === 'all' ? 'all of them' : network,
    decibelText(psnr),
    similarity(ssim),
  ]);
  return {
    ...common,
    body: html`<p>Drawn with float32 models, and again with one network of this conversion at a time (${pictures.format}), from the same noise.</p>
${table('Pictures against those of float32', ['Network of this conversion', { number: 'PSNR' }, { number: 'SSIM' }], rows)}
<div class="pictures">${swapped
      .filter(({ network }) => network !== 'all')
      .map(
        ({ network, picture, difference }) =>
          html`<div>${figure(images, picture.name, `${network} of this conversion`)}${figure(images, difference.name, `what it changes, ×\u00a0${gain}`)}</div>`,
      )}</div>
<p class="hint">PSNR of 8-bit pictures: rounding to bytes alone leaves 59 dB. SSIM after Wang et al. 2004, on luminance; 1 is identical.</p>`,
  };
}

/** The picture of float32 and that of the conversion, with a slider and where they differ. */
export function picturesSection({ pictures, notChecked }: Card, images: Images): Section {
  const common = { id: 'pictures', title: 'Pictures' };
  const whole = pictures?.swapped.find(({ network }) => network === 'all');
  if (!pictures || !whole) return { ...common, body: missing(notChecked) };
  const { prompt, seed, steps, guidanceScale, scheduler, reference, gain } = pictures;
  const scaled = reference.scale < 1 && `; shown at ${Math.round(reference.scale * 100)} % of their size`;
  return {
    ...common,
    body: html`<p>“${prompt}”, seed ${seed}, ${steps} steps, guidance ${guidanceScale}, ${scheduler}${scaled}.</p>
<figure class="compare"><div class="pair">${image(images, whole.picture.name, '')}${image(images, reference.name, '')}</div>
<label><span class="ends"><span>this conversion</span><span>float32</span></span>
<input type="range" min="0" max="100" value="50" aria-label="Share of the picture that shows this conversion instead of float32"></label></figure>
<div class="pictures">${figure(images, reference.name, 'float32')}${figure(images, whole.picture.name, `this conversion: ${decibelText(whole.psnr)}, SSIM ${similarity(whole.ssim)}`)}${figure(images, whole.difference.name, `where they differ, ×\u00a0${gain}`)}</div>`,
  };
}

/** An SSIM that rounds to 1 is not told as 1 unless it is. */
function similarity(ssim: number): string {
  return ssim < 1 && ssim > 0.99999 ? '> 0.99999' : ssim.toFixed(5);
}

function missing(notChecked: Card['notChecked']): Markup {
  const found = notChecked.find(({ what }) => what.startsWith('Pictures'));
  return html`<p>None were drawn.${found && ' This draws them:'}</p>${found?.command && commandLine(found.command)}`;
}

function figure(images: Images, name: string, caption: string): Markup {
  return html`<figure>${image(images, name, caption)}<figcaption>${caption}</figcaption></figure>`;
}

/** A picture in the page; what its caption says need not be read twice. */
function image(images: Images, name: string, caption: string): Inserted {
  const found = images.get(name);
  if (!found) return '';
  const { width, height, png } = found;
  const source = new Markup(`data:image/png;base64,${Buffer.from(png).toString('base64')}`);
  return html`<img src="${source}" width="${width}" height="${height}" alt="${caption}" class="${width <= SMALL ? 'small' : ''}">`;
}
