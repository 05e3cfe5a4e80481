import type { HubRecord, Provenance } from '../formats/provenance.ts';

/** Names of models on record that came from the Hub, as commands take them. */

/** The name of a checkpoint that came from the Hub, and its revision there, as `--model-version` and what follows. */
export function nameOnHub({
  checkpoint,
  hub = [],
}: Pick<Provenance, 'checkpoint' | 'hub'>): string[] | undefined {
  const source = checkpoint && sourceOf(checkpoint.name, hub);
  return checkpoint && source && [whole(checkpoint.name, source), '--revision', source.commit];
}

/** A model that came from the Hub with its commit: `hf://org/name@commit`; any other by its name. */
export function pinned(name: string, hub: readonly HubRecord[]): string {
  const source = sourceOf(name, hub);
  // The oldest repositories have no organisation, and such a name cannot hold a commit.
  if (!source?.repo.includes('/')) return name;
  return `hf://${source.repo}@${source.commit}${whole(name, source).slice(source.repo.length)}`;
}

function sourceOf(name: string, hub: readonly HubRecord[]): HubRecord | undefined {
  return hub.find(({ repo }) => name === repo || name.startsWith(`${repo}/`));
}

/** The name with the ending of its file, which titles lack; that of a folder or a repository as it is. */
function whole(name: string, { repo, files }: HubRecord): string {
  const file = files.map((each) => `${repo}/${each}`).find((each) => each.replace(/\.[^./]+$/, '') === name);
  return file ?? name;
}
