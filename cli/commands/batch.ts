import type { Argv } from 'yargs';
import { RequestError } from '../../src/errors.ts';
import type { ItemResult } from '../../src/fleet/batch.ts';
import { countBad, isBad } from '../../src/fleet/verdict-words.ts';
import { nextCommand } from '../../src/inspect/next-command.ts';
import { alignColumns, count, formatBytes, onOneLine } from '../../src/text.ts';
import { inRepository } from '../../src/version.ts';
import { declareHubOptions, hubOptions } from '../hub-options.ts';
import { psnrCell, verdictCell } from '../item-cells.ts';
import { parseBytes, wholeNumber } from '../options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert batch MANIFEST`: converts many checkpoints. */
export const batchCommand: Command = {
  options: declare,
  needed: ['jobs', 'max-memory', 'force'].map((option) => ({
    option,
    needs: 'a manifest to convert (leave out --init)',
    isMet: (argv) => argv.init !== true,
  })),
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { manifest, init, jobs, force, 'max-memory': memory } = argv as Arguments;
    if (init) return writeExample(manifest ?? 'batch.yaml', report);
    if (manifest === undefined)
      throw new RequestError({
        problem: 'no manifest is given.',
        advice: 'Write an example with sdconvert batch --init, and pass it: sdconvert batch batch.yaml',
      });
    const { batch } = await import('../../src/fleet/batch.ts');
    const request = {
      manifest,
      force,
      jobs: jobs === undefined ? undefined : wholeNumber(jobs, '--jobs', 1),
      maxMemoryBytes: memory === undefined ? undefined : parseBytes(memory, '--max-memory'),
      hub: await hubOptions(argv as Arguments),
    };
    const results = await report.followLog((context) => batch(request, context));
    report.results(results, describeBatch(results));
    return results.some(({ verdict }) => isBad(verdict)) ? 1 : 0;
  },
};

async function writeExample(path: string, report: Parameters<Command['run']>[1]): Promise<number> {
  const { writeExampleManifest } = await import('../../src/fleet/example-manifest.ts');
  await writeExampleManifest(path);
  report.result({ path }, `Written to ${path}. Edit it, then run: ${nextCommand('batch', path).command}`);
  return 0;
}

/** A row for each item, what conversions noted, and why items failed. */
function describeBatch(results: readonly ItemResult[]): string {
  const rows = results.map(({ item, seconds, bytes, psnr, floor, verdict, reused }) => [
    item,
    reused ? '' : seconds.toFixed(1),
    verdict === 'failed' ? '' : formatBytes(bytes),
    psnrCell(psnr),
    floor === undefined ? '' : String(floor),
    `${verdictCell(verdict)}${reused ? ', there already' : ''}`,
  ]);
  const failed = results.flatMap(({ item, error }) => (error ? [describeFailure(item, error)] : []));
  return [
    alignColumns([['item', 'seconds', 'size', 'dB', 'floor', 'verdict'], ...rows]),
    ...describeNotes(results),
    ...failed,
    summary(results),
  ].join('\n\n');
}

function describeFailure(
  item: string,
  { name, problem, details, advice }: NonNullable<ItemResult['error']>,
): string {
  const lines = Object.entries(details).map(([label, text]) => `  ${label}  ${onOneLine(text)}`);
  return [`${item}: ${name}: ${problem}`, ...lines, ...(advice === undefined ? [] : [advice])].join('\n');
}

/** Each note once, with the number of items that it is about. */
function describeNotes(results: readonly ItemResult[]): string[] {
  const items = new Map<string, number>();
  for (const { notes } of results)
    for (const note of new Set(notes)) items.set(note, (items.get(note) ?? 0) + 1);
  const lines = [...items].map(([note, number]) => `note (${count(number, 'item')})  ${onOneLine(note)}`);
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function summary(results: readonly ItemResult[]): string {
  const bad = countBad(results.map(({ verdict }) => verdict));
  const be = results.length === 1 ? 'is' : 'are';
  if (bad.length === 0)
    return `${results.length === 1 ? '' : 'All '}${count(results.length, 'item')} ${be} done.`;
  const good = results.filter(({ verdict }) => !isBad(verdict)).length;
  const again = results.some(({ verdict }) => verdict === 'failed')
    ? ' Mend what failed, and run this again: nothing that is done is done again.'
    : '';
  return `${good} of ${count(results.length, 'item')} ${be} good; ${bad.join(', ')}.${again}`;
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('manifest', {
      type: 'string',
      describe: `YAML or JSON: checkpoints, variants, floors, where results go (${inRepository('docs/batch.md')})`,
    })
    .option('init', {
      type: 'boolean',
      default: false,
      describe: 'Write an example manifest, with every key explained',
    })
    .option('jobs', {
      type: 'number',
      describe: 'Most conversions at once; fewer where memory or disk are short [default: half the cores]',
    })
    .option('max-memory', {
      type: 'string',
      describe: 'Memory that all conversions together may take [default: what is free]',
    })
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'Replace results that were made with other options',
    })
    .example('$0 batch --init', 'writes batch.yaml, to be edited')
    .example(
      '$0 batch batch.yaml --jobs 2',
      'converts, checks and sums up; exit code 1 when a floor is missed',
    )
    .example(
      '$0 batch batch.yaml --json > results.jsonl',
      'a line of JSON for each item, after those of progress',
    );
}
