import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HuntRow, readRows } from '../../hunt/rows.ts';

/** `docs/trust.md` with the counts of what was hunted, from the rows on record. */
export function trustPage(root: string): string {
  const page = readFileSync(join(root, 'docs/trust.md'), 'utf8');
  const [before = '', rest = ''] = page.split(/(?<=<!-- counts[^>]*-->)\n/);
  const after = rest.slice(rest.indexOf('<!-- /counts -->'));
  return `${before}\n${table(readRows())}\n${after}`;
}

function table(rows: readonly HuntRow[]): string {
  const formats = [...new Set(rows.map(({ format }) => format))].sort((a, b) => a.localeCompare(b, 'en'));
  const lines = formats.map((format) =>
    line(
      format,
      rows.filter((row) => row.format === format),
    ),
  );
  const all = line('**all**', rows);
  return [
    '| hunted in | inputs | refused | accepted | findings | slowest, ms | most memory, MB |',
    '|---|---:|---:|---:|---:|---:|---:|',
    ...lines,
    all,
  ].join('\n');
}

function line(name: string, rows: readonly HuntRow[]): string {
  const sum = (key: 'inputs' | 'refused' | 'accepted' | 'findings'): string =>
    rows.reduce((total, row) => total + row[key], 0).toLocaleString('en');
  const most = (key: 'slowest_ms' | 'largest_mb'): string =>
    // Whole commands are not measured.
    String(Math.max(0, ...rows.map((row) => row[key])) || '–');
  const cells = [
    sum('inputs'),
    sum('refused'),
    sum('accepted'),
    sum('findings'),
    most('slowest_ms'),
    most('largest_mb'),
  ];
  return `| ${[name, ...cells].join(' | ')} |`;
}
