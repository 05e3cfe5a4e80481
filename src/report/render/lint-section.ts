import { formatBytes } from '../../text.ts';
import type { Card } from '../card.ts';
import { html, link } from './markup.ts';
import { commandLine, facts, type Section, table } from './table.ts';

const severities = { fault: 'is-fail', warning: 'is-open', note: 'quiet' } as const;

/** Known faults of systems and clients that concern these models. */
export function lintSection({ lint }: Card): Section {
  const rows = lint.map(({ severity, problem, where, since, source, mend }) => [
    html`<span class="${severities[severity]}">${severity}</span>`,
    html`${problem}${mend && html` <span class="quiet">${mend}</span>`}`,
    where,
    since,
    link(source, shortSource(source)),
  ]);
  return {
    id: 'lint',
    title: 'Known faults',
    body:
      lint.length === 0
        ? html`<p>No dated fault of a system or client that is known here concerns these models, and no client lacks their scheduler.</p>`
        : table('Faults, warnings and notes', ['Kind', 'What', 'Where', 'Since', 'Source'], rows),
  };
}

function shortSource(address: string): string {
  return address.replace(/^https:\/\/(www\.)?/, '').replace(/^github\.com\//, '');
}

/** What it cost. */
export function costSection({ cost, notChecked }: Card): Section {
  const stages = (all: readonly { readonly name: string; readonly seconds: number }[]) =>
    all.map(({ name, seconds }) => `${name} ${seconds.toFixed(1)} s`).join(', ');
  const missing = notChecked.find(({ what }) => what.startsWith('Time and memory'));
  return {
    id: 'cost',
    title: 'Cost',
    body: facts([
      ['Models', formatBytes(cost.bytes)],
      [
        'Conversion',
        cost.conversion
          ? stages(cost.conversion)
          : html`not on record; <code>${missing?.command}</code> keeps it`,
      ],
      ['This report', stages(cost.report)],
      ['Peak memory', formatBytes(cost.peakBytes)],
      ['Read, written', `${formatBytes(cost.read)}, ${formatBytes(cost.written)}`],
      ['Machine', cost.machine],
    ]),
  };
}

/** What this card does not know. */
export function notCheckedSection({ notChecked }: Card): Section {
  const items = notChecked.map(
    ({ what, why, command }) => html`<h3>${what}</h3><p>${why}</p>${command && commandLine(command)}`,
  );
  return { id: 'not-checked', title: 'What was not checked here', body: html`${items}` };
}
