import { type ClientName, clientNames } from '../../bundle/profiles/profile.ts';
import { profiles, usualClients } from '../../bundle/profiles/profiles.ts';
import { RequestError } from '../../errors.ts';
import { type TargetName, targetNames } from '../../formats/format.ts';
import { type ConvertRequest, convertDefaults } from './request.ts';

/**
 * The targets of a request: those that were asked for, or else those of its clients. Throws `RequestError` for a client that
 * loads none of the targets that were asked for.
 */
export function targetsFor(
  clients: readonly ClientName[] | undefined,
  asked: readonly TargetName[] | undefined,
): readonly TargetName[] {
  if (clients === undefined || clients.length === 0) return asked ?? convertDefaults.targets;
  const needed = new Set(clients.map((client) => profiles[client].target));
  if (asked === undefined) return targetNames.filter((target) => needed.has(target));
  for (const client of clients) {
    const { target } = profiles[client];
    if (asked.includes(target)) continue;
    throw new RequestError({
      problem: `${client} loads ${target} models, and --target ${asked.join(',')} writes none.`,
      advice: 'Leave out --target: --for chooses it.',
    });
  }
  return asked;
}

/** The clients of a request, each once: those that were named, and the usual one of every other target. */
export function clientsOf({
  clients = [],
  targets,
}: Pick<ConvertRequest, 'clients' | 'targets'>): ClientName[] {
  const wanted = new Set(clients);
  for (const target of targets)
    if (!clients.some((client) => profiles[client].target === target)) wanted.add(usualClients[target]);
  return clientNames.filter((client) => wanted.has(client));
}
