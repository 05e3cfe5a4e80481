import type { Argv } from 'yargs';
import type { SubmittedItem } from '../../src/fleet/queue/submit.ts';
import { alignColumns, count } from '../../src/text.ts';
import { declareHubOptions, hubOptions } from '../hub-options.ts';
import { resultCells, resultHeading } from '../item-cells.ts';
import { declareQueue } from '../queue-option.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert submit MANIFEST`: gives the items of a manifest to the workers of a queue. */
export const submitCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const given = argv as Arguments;
    const { submit } = await import('../../src/fleet/queue/submit.ts');
    const { manifest, queue, results, publish, force } = given;
    const request = { manifest, queue, results, publish, force, hub: await hubOptions(given) };
    const items = await report.follow(['identify', 'submit'], (context) => submit(request, context));
    report.results(items, describe(items));
    return 0;
  },
};

/** What each state means for the person who submits. */
const meanings: Readonly<Record<SubmittedItem['state'], string>> = {
  new: 'new',
  waiting: 'in the queue already',
  done: 'done already',
  measure: 'done, to be compared with another reference',
  again: 'failed, tried again',
};

function describe(items: readonly SubmittedItem[]): string {
  const rows = items.map(({ item, state, result }) => [item, meanings[state], ...resultCells(result)]);
  const number = (state: SubmittedItem['state']): number =>
    items.filter((item) => item.state === state).length;
  const parts = Object.entries(meanings).flatMap(([state, meaning]) => {
    const n = number(state as SubmittedItem['state']); // as: the keys of the table
    return n > 0 ? [`${n} ${meaning}`] : [];
  });
  return `${alignColumns([['item', 'state', ...resultHeading], ...rows])}\n\n${count(items.length, 'item')}: ${parts.join(', ')}. sdconvert jobs shows how far they are.`;
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareQueue(declareHubOptions(yargs, how))
    .positional('manifest', {
      type: 'string',
      demandOption: true,
      describe:
        'YAML or JSON, as for sdconvert batch; paths in it must lead to the same files on every worker',
    })
    .option('results', {
      type: 'string',
      describe:
        'Where results go: a folder that all workers see, or s3://bucket/prefix [default: the output of the manifest]',
    })
    .option('publish', {
      type: 'string',
      describe:
        'Repository on the Hub for what reaches its floor: org/name (a folder for each item) or org/{item} (a repository for each)',
    })
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'Make again what is done already, and replace what is in its place, whatever it was made of',
    })
    .example('$0 submit batch.yaml --queue redis://10.0.0.5:6379', 'a job for each item; each is done once')
    .example(
      '$0 submit batch.yaml --queue redis://10.0.0.5:6379 --results s3://models/converted --publish my-org/{item}',
      'results into a bucket, and those that pass onto the Hub',
    );
}
