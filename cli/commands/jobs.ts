import type { Argv } from 'yargs';
import type { QueuedItem } from '../../src/fleet/queue/list-jobs.ts';
import { isBad } from '../../src/fleet/verdict-words.ts';
import { alignColumns, count } from '../../src/text.ts';
import { resultCells, resultHeading } from '../item-cells.ts';
import { declareQueue } from '../queue-option.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** `sdconvert jobs`: how far the items of a queue are. */
export const jobsCommand: Command = {
  options: declare,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { queue } = argv as Arguments;
    const { listJobs } = await import('../../src/fleet/queue/list-jobs.ts');
    const items = await listJobs({ queue });
    report.results(items, describe(items));
    return items.some(({ state, verdict }) => state === 'failed' || isBad(verdict)) ? 1 : 0;
  },
};

function describe(items: readonly QueuedItem[]): string {
  if (items.length === 0) return 'The queue is empty. sdconvert submit gives it a manifest.';
  const rows = items.map(({ item, state, step, seconds, ...result }) => [
    item,
    state === 'failed' ? 'FAILED' : state,
    state === 'done' ? '' : step,
    seconds === undefined ? '' : seconds.toFixed(1),
    ...resultCells(result),
  ]);
  const reasons = items.flatMap(({ item, step, attempts, reason }) =>
    reason === undefined ? [] : [`${item}: ${step} failed ${count(attempts, 'time')}: ${reason}`],
  );
  return [
    alignColumns([['item', 'state', 'step', 'seconds', ...resultHeading], ...rows]),
    ...reasons,
    summary(items),
  ].join('\n\n');
}

function summary(items: readonly QueuedItem[]): string {
  const states = Map.groupBy(items, ({ state }) => state);
  const parts = [...states].map(([state, those]) => `${those.length} ${state}`);
  const failed = states.has('failed') ? ' Submit the manifest again to try those that failed.' : '';
  return `${count(items.length, 'item')}: ${parts.join(', ')}.${failed}`;
}

function declare(yargs: Argv) {
  return declareQueue(yargs)
    .example(
      '$0 jobs --queue redis://10.0.0.5:6379',
      'a row for each item; exit code 1 when one failed or missed its floor',
    )
    .example('$0 jobs --queue redis://10.0.0.5:6379 --json', 'a line of JSON for each');
}
