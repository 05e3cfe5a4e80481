import { RequestError } from '../../errors.ts';
import { parseHubId } from '../../hub/hub-id.ts';

/** A place on the Hub. */
export interface PublishTarget {
  /** `org/name`. */
  readonly repo: string;
  /** Folder in the repository; the repository itself when empty. */
  readonly path: string;
}

/**
 * Where an item goes: `org/name` has a folder for each item, `org/{item}` a repository. Throws `RequestError` for what is no name
 * of a repository.
 */
export function publishTarget(pattern: string, item: string): PublishTarget {
  const isOwn = pattern.includes('{item}');
  const repo = pattern.replaceAll('{item}', item.replaceAll('/', '-'));
  if (/^[^/]+\/[^/]+$/.test(repo) && parseHubId(repo)?.repo === repo)
    return { repo, path: isOwn ? '' : item };
  throw new RequestError({
    problem: `--publish ${repo} is not the name of a repository on the Hub.`,
    advice: 'Write org/name, which gets a folder for each item, or org/{item} for a repository of each.',
  });
}
