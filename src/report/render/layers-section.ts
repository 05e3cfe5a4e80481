import { formatBytes } from '../../text.ts';
import { decibelText } from '../../validate/decibels.ts';
import type { Card } from '../card.ts';
import { bitColours, lineChart, weightChart } from '../charts/draw-charts.ts';
import { html, type Inserted, Markup } from './markup.ts';
import { chart, type Section, table } from './table.ts';

type Layers = Card['layers'][number];

/** Weights whose rows are shown at once; those after them unfold. */
const WORST = 20;

/** Weights with fewer bits, and those without. */
export function layersSection({ layers, files }: Card): Section {
  const stored = new Set(files.flatMap(({ weights }) => weights.slice(0, 2).map((group) => group.stored)));
  const body =
    layers.length > 0
      ? html`${layers.map(describe)}`
      : html`<p>No weight was stored with fewer bits: all are ${[...stored].join(' or ')}. To try: <code>sdconvert quantize --help</code>.</p>`;
  return { id: 'layers', title: 'Layers', body };
}

function describe({ path, network, weights, leftOut }: Layers): Inserted {
  const known = weights.flatMap(({ byteLength, decibels, bits }) => {
    const value = Number(decibels ?? Number.NaN);
    return byteLength !== null && Number.isFinite(value)
      ? [{ bytes: byteLength, decibels: value, bits }]
      : [];
  });
  const title = `Size and error of the ${weights.length} quantised weights of ${path}`;
  const more = weights.slice(WORST);
  return html`<h3>${path}</h3>
${known.length > 0 && chart(title, new Markup(weightChart(title, known)))}
<p class="hint">${bitColours.filter(([bits]) => weights.some((weight) => weight.bits === bits)).map(([bits]) => html`${chip(bits)} `)}</p>
${weightTable(`The ${Math.min(WORST, weights.length)} weights of ${network} that lost most: ${path}`, weights.slice(0, WORST))}
${more.length > 0 && html`<details><summary>The other ${more.length}</summary>${weightTable(`All other quantised weights of ${path}`, more)}</details>`}
${leftOut.length > 0 && leftOutTable(path, leftOut)}`;
}

function chip(bits: number): Markup {
  const colour = bitColours.find(([each]) => each === bits)?.[1] ?? 'currentColor';
  return html`<span class="chip" style="color:${colour}">${bits} ${bits === 1 ? 'bit' : 'bits'}</span>`;
}

function weightTable(caption: string, weights: Layers['weights']): Markup {
  const rows = weights.map(({ name, bits, form, elements, byteLength, decibels }) => [
    name,
    chip(bits),
    form,
    elements === null ? '–' : elements.toLocaleString('en'),
    byteLength === null ? '–' : formatBytes(byteLength),
    decibels === null ? '–' : decibelText(decibels),
  ]);
  const columns = [
    'Weight',
    'Bits',
    'Stored as',
    { number: 'Numbers' },
    { number: 'Size' },
    { number: 'Signal to error' },
  ];
  return table(caption, columns, rows);
}

function leftOutTable(path: string, leftOut: Layers['leftOut']): Markup {
  const rows = leftOut.map(({ why, tensors, parameters, names }) => [
    why,
    tensors.toLocaleString('en'),
    parameters.toLocaleString('en'),
    names.length === 0
      ? ''
      : html`<details><summary>names</summary>${names.map((name) => html`<div><code>${name}</code></div>`)}</details>`,
  ]);
  return table(
    `Left out of ${path}, and why`,
    ['Why', { number: 'Tensors' }, { number: 'Numbers' }, 'Which'],
    rows,
  );
}

/** Bytes against dB, with the choice marked. */
export function curveSection({ curve, layers, notChecked }: Card): Section {
  const common = { id: 'curve', title: 'Bytes against dB' };
  if (!curve) {
    const missing = notChecked.find(({ what }) => what.startsWith('Whether other bits'));
    return {
      ...common,
      body: html`<p>${layers.length === 0 ? 'There is no choice of bits to show: no weight has fewer.' : 'Nothing was measured.'}${missing && ' This measures it:'}</p>${missing?.command && html`<pre><code>${missing.command}</code></pre>`}`,
    };
  }
  const line = (label: string, points: typeof curve.mixed) => ({
    label,
    points: points
      .map(({ bytes, psnr }): [number, number] => [bytes / 1e6, Number(psnr)])
      .filter(([, psnr]) => Number.isFinite(psnr))
      .sort(([a], [b]) => a - b),
  });
  const { chosen } = curve;
  const title = `PSNR of the ${curve.of} against the size of its weights`;
  const svg = lineChart({
    title,
    x: 'size of the weights in MB',
    y: 'PSNR of the output in dB',
    series: [line('mixed bits', curve.mixed), line('the same bits for all weights', curve.uniform)],
    marked: chosen ? { label: chosen.label, at: [chosen.bytes / 1e6, Number(chosen.psnr)] } : undefined,
  });
  const rows = [...curve.uniform, ...(chosen ? [chosen] : [])].map(({ label, bytes, psnr }) => [
    label,
    formatBytes(bytes),
    decibelText(psnr),
  ]);
  return {
    ...common,
    body: html`<p>${curve.how}.</p>${chart(title, new Markup(svg))}${table('Uniform bits, and the choice', ['Bits', { number: 'Size' }, { number: 'PSNR' }], rows)}`,
  };
}
