import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { huntKills } from '../../../hunt/kills/kills.ts';
import type { Scenario } from '../../../hunt/kills/scenarios/scenario.ts';

const scenario = (way: string): Scenario => ({
  name: way,
  prepare: async (folder) => writeFileSync(join(folder, 'model.bin'), 'old'),
  program: join(import.meta.dirname, 'careless-program.ts'),
  args: [way],
});

/** What a hunt of a program that writes in these ways says of each. */
async function hunted(ways: readonly string[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const said = new Map<string, string[]>();
  const among = ways.map(scenario);
  const keep = (name: string, { findings }: { findings: readonly { what: string }[] }) =>
    void said.set(
      name,
      findings.map(({ what }) => what),
    );
  await huntKills({ seed: '1', among, keep });
  return said;
}

test('a program that writes with care passes; each way to be careless is found', async () => {
  const faults = {
    'in place': /^model\.bin is neither the old nor the new one/,
    'after removing': /^model\.bin is neither the old nor the new one: nothing/,
    'without sweeping': /^it leaves \.sdc-/,
    once: /^the same command again ends with 1: Error: EEXIST/,
    'with a file open': /it ends with files open, 1 of them/,
    'by what is there': /^the same command again gives something else: model\.bin/,
  };
  const said = await hunted(['soundly', ...Object.keys(faults)]);
  expect(said.get('kill soundly')).toEqual([]);
  for (const [way, fault] of Object.entries(faults))
    expect(said.get(`kill ${way}`)).toContainEqual(expect.stringMatching(fault));
});
