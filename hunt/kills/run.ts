import { parseArgs } from 'node:util';
import { record } from '../rows.ts';
import { huntKills } from './kills.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    only: { type: 'string' },
    seed: { type: 'string', default: '1' },
    record: { type: 'boolean' },
  },
});
const tallies = await huntKills({
  seed: values.seed,
  ...(values.kills && { kills: Number(values.kills) }),
  ...(values.only && { only: values.only.split(',') }),
  onScenario: (name, tally) => {
    process.stdout.write(`${name}: ${tally.inputs} kills, ${tally.findings.length} findings\n`);
    for (const { input, what } of tally.findings) process.stdout.write(`  ${input}: ${what}\n`);
  },
});
if (values.record) record(values.seed, tallies);
