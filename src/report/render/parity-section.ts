import { decibelText } from '../../validate/decibels.ts';
import type { Card } from '../card.ts';
import { dotChart } from '../charts/draw-charts.ts';
import { html, type Inserted, link, Markup } from './markup.ts';
import { chart, commandLine, type Section, table } from './table.ts';

type Model = NonNullable<Card['parity']>['models'][number];

const arithmetics = { exact: 'this machine’s', rounded: 'rounded to float16' } as const;

/** How far each model is from its reference. */
export function paritySection({ parity, verdict, notChecked }: Card): Section {
  const id = 'parity';
  const title = 'Parity with float32';
  const missing = notChecked.find(({ what }) => what === 'Distance from float32');
  if (!parity)
    return {
      id,
      title,
      body: html`<p>No model was compared with a reference. ${missing && 'This compares them all:'}</p>${missing?.command && commandLine(missing.command)}`,
    };
  const { models } = parity;
  const hasFewBits = models.some(({ lowestToFloat32 }) => lowestToFloat32 !== null);
  return {
    id,
    title,
    body: html`<p>PSNR of every output against ${parity.reference} in float32, over timesteps and seeds: 20·log₁₀(max |reference| / RMSE), in dB.
Core ML packages ran twice: in the arithmetic of this machine, and with every operation rounded to float16, as on a Neural Engine.${hasFewBits && ' Models with fewer bits are held to the floor by a reference with the same bits; what the bits cost is the last distance.'}</p>
${chart('Parity of every model', drawing(models, verdict.floor))}
<p class="hint">● lowest ○ others; diamonds: every operation rounded. Identical outputs have no dot.</p>
${modelTable(models, hasFewBits)}
${apples(models)}
<details><summary>Every output under every case of inputs</summary>${outputTable(models)}</details>`,
  };
}

function drawing(models: readonly Model[], floor: number): Markup {
  const rows = models.map(({ network, format, arithmetic, outputs }) => ({
    label: `${network} · ${format}${arithmetic === 'rounded' ? ' · rounded' : ''}`,
    kind: arithmetic === 'rounded' ? (1 as const) : (0 as const),
    values: outputs.map(({ psnr }) => Number(psnr)).filter(Number.isFinite),
  }));
  const limit = { at: floor, label: `floor ${floor}` };
  return new Markup(
    dotChart({ title: 'PSNR of every output in dB, by model', x: 'PSNR in dB', rows, limit }),
  );
}

function modelTable(models: readonly Model[], hasFewBits: boolean): Inserted {
  const columns = [
    ...['Model', 'Arithmetic', { number: 'Lowest' }, { number: 'Median' }],
    ...(hasFewBits ? [{ number: 'Lowest to float32' }] : []),
    ...[{ number: 'On record' }, { number: 'Apple’s' }, 'Verdict'],
  ];
  const rows = models.map((model) => [
    html`${model.network} <span class="quiet">${model.format}${model.paths.length > 1 && `, ${model.paths.length} chunks`}</span>`,
    arithmetics[model.arithmetic],
    decibelText(model.lowest),
    decibelText(model.median),
    ...(hasFewBits ? [model.lowestToFloat32 === null ? '' : decibelText(model.lowestToFloat32)] : []),
    model.recorded === null ? '–' : decibelText(model.recorded),
    model.apple === null ? '–' : decibelText(model.apple.psnr),
    model.pass ? html`<span class="is-pass">✓ pass</span>` : html`<span class="is-fail">✗ fail</span>`,
  ]);
  const caption =
    'Lowest and median over outputs and cases. On record: the lowest of random checkpoints of this family. Apple’s: what its converter is known to have printed';
  return table(caption, columns, rows);
}

/** What the numbers of Apple’s converter are of. */
function apples(models: readonly Model[]): Inserted {
  const found = new Map(models.flatMap(({ apple }) => (apple ? [[apple.what, apple] as const] : [])));
  return [...found.values()].map(
    ({ psnr, what, source }) =>
      html`<p class="hint">Apple’s ${decibelText(psnr)}: ${what} (${link(source, 'source')}).</p>`,
  );
}

function outputTable(models: readonly Model[]): Inserted {
  const rows = models.flatMap(({ network, format, arithmetic, outputs }) =>
    outputs.map(({ name, inputs, psnr, applePsnr, maxAbsError, nonFinite }) => [
      html`${network} <span class="quiet">${format}${arithmetic === 'rounded' && ', rounded'}</span>`,
      name,
      inputs,
      decibelText(psnr),
      decibelText(applePsnr),
      typeof maxAbsError === 'number' ? maxAbsError.toExponential(1) : maxAbsError,
      nonFinite,
    ]),
  );
  const columns = [
    ...['Model', 'Output', 'Inputs', { number: 'PSNR' }, { number: 'By Apple’s formula' }],
    ...[{ number: 'Largest error' }, { number: 'Not finite' }],
  ];
  return table('Outputs', columns, rows);
}
