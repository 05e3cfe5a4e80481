import { mapTexts } from '../../text.ts';
import type { ResolvedModel } from './resolve-model.ts';

/** What was found of a model on the Hub, with its paths in the cache as addresses. */
export function namedOnHub<T>(value: T, { folder, repo }: Pick<ResolvedModel, 'folder' | 'repo'>): T {
  return mapTexts(value, (text) => text.replaceAll(folder, `hf://${repo}`));
}
