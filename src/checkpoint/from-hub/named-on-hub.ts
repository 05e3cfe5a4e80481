import type { ResolvedModel } from './resolve-model.ts';

/** What was found of a model on the Hub, with its paths in the cache as addresses. */
export function namedOnHub<T>(value: T, model: Pick<ResolvedModel, 'folder' | 'repo'>): T {
  if (typeof value === 'string') return value.replaceAll(model.folder, `hf://${model.repo}`) as T; // as: a text for a text
  if (Array.isArray(value)) return value.map((each) => namedOnHub(each, model)) as T; // as: likewise
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [key, namedOnHub(each, model)]);
  return Object.fromEntries(entries) as T; // as: likewise
}
