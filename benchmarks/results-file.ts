import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';

/** One measurement: column → value. */
export type Row = Readonly<Record<string, string | number>>;

/** When, on what machine and with which code the measurements of a run were made. */
export function circumstances(): Row {
  const machine = cpus();
  return {
    date: new Date().toISOString().replace(/:[^:]*$/, 'Z'),
    commit: commit(),
    cpu: machine[0]?.model.trim() ?? 'unknown',
    cores: machine.length,
    node: process.version,
  };
}

/** The commit that is checked out, marked where files differ from it, other than results: a run that records adds some. */
function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--untracked-files=no', '--', ':/', ':(exclude)results');
  return `${git('describe', '--always')}${changed === '' ? '' : '-dirty'}`;
}

/** Appends rows to a CSV file, which is made with a heading if it is not there. Throws when its columns are others. */
export function appendRows(path: string, rows: readonly Row[]): void {
  const heading = line(Object.keys(rows[0] ?? {}));
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, heading);
  }
  const [found = ''] = readFileSync(path, 'utf8').split('\n', 1);
  if (`${found}\n` !== heading) throw new Error(`${path} has other columns: ${found}`);
  appendFileSync(path, rows.map((row) => line(Object.values(row))).join(''));
}

/** The rows of a CSV file, their cells by column. Cells hold no line breaks. */
export function readRows(text: string): Readonly<Record<string, string>>[] {
  const [columns = [], ...rows] = text.trimEnd().split('\n').map(cellsOf);
  return rows.map((cells) => Object.fromEntries(columns.map((column, at) => [column, cells[at] ?? ''])));
}

function cellsOf(row: string): string[] {
  const cells = `${row},`.matchAll(/(?:"((?:[^"]|"")*)"|([^",]*)),/g);
  return [...cells].map(([, quotedCell, plain]) => quotedCell?.replaceAll('""', '"') ?? plain ?? '');
}

function line(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => quoted(String(cell))).join(',')}\n`;
}

function quoted(cell: string): string {
  return /[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
