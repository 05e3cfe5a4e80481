import { formatBytes } from '../../text.ts';
import type { Card, CardFile } from '../card.ts';
import { html, type Inserted, link } from './markup.ts';
import { type Section, table } from './table.ts';

/** The models: bits, precision, what they need, and how near they are to the limits of their clients. */
export function filesSection({ files, limits }: Card): Section {
  const columns = ['Model', { number: 'Size' }, { number: 'Bits' }, 'Stored as', 'Made in', 'Needs'];
  const rows = files.map((file) => [
    file.path,
    formatBytes(file.byteLength),
    averageBits(file),
    file.problem ??
      file.weights
        .slice(0, 3)
        .map(({ stored }) => stored)
        .join(', '),
    [file.precision, file.attention].filter(Boolean).join(', '),
    html`<span class="whole">${file.needs}</span>`,
  ]);
  return {
    id: 'files',
    title: 'Files',
    body: html`${table('Models, with the bits of a weight on average', columns, rows)}
${limits.length > 0 && limitBars(limits)}
<details><summary>SHA-256 of every file on record</summary>${table('Files on record', ['File', { number: 'Bytes' }, 'SHA-256'], hashes(files))}</details>`,
  };
}

function averageBits({ weights }: CardFile): string {
  const parameters = weights.reduce((sum, group) => sum + group.parameters, 0);
  const bits = weights.reduce((sum, group) => sum + group.bits * group.parameters, 0);
  return parameters === 0 ? '' : (bits / parameters).toFixed(1);
}

function limitBars(limits: Card['limits']): Inserted {
  const rows = limits.map(({ client, what, limit, found, where, source }) => [
    client,
    html`${what} <span class="quiet">(${link(source, 'source')}${!source.startsWith('https://') && `: ${source}`})</span>`,
    html`${bar(found / limit)}<span class="quiet">${where}</span>`,
    html`${formatBytes(found)} of ${formatBytes(limit)}`,
  ]);
  return html`<h3>Limits of clients</h3>${table('The largest model beside what a client takes at most', ['Client', 'Limit', 'Filled', { number: 'Size' }], rows)}`;
}

function bar(share: number): Inserted {
  const width = `${Math.min(100, share * 100).toFixed(1)}%`;
  return html`<span class="bar${share > 1 ? ' over' : ''}" aria-hidden="true"><i style="width:${width}"></i></span>`;
}

function hashes(files: readonly CardFile[]): Inserted[][] {
  return files.flatMap(({ path, files: own }) =>
    own.map(({ name, byteLength, sha256 }) => [
      `${path}/${name}`,
      byteLength.toLocaleString('en'),
      html`<code class="hash">${sha256}</code>`,
    ]),
  );
}
