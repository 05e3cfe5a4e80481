import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { HubRecord } from '../../formats/provenance.ts';

/** What is on record of the Hub once a checkpoint is converted: of one commit, the files of all runs. */
export function hubRecord({ hub = [] }: Checkpoint, before: readonly HubRecord[] = []): readonly HubRecord[] {
  const records = new Map(before.map((record) => [record.repo, record]));
  for (const { repo, commit, files } of hub) {
    const known = records.get(repo);
    const names = [...(known?.commit === commit ? known.files : []), ...files.map(({ name }) => name)];
    records.set(repo, { repo, commit, files: [...new Set(names)].sort() });
  }
  return [...records.values()].sort((a, b) => (a.repo < b.repo ? -1 : 1));
}
