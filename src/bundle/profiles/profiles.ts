import { RequestError } from '../../errors.ts';
import type { ClientForm } from '../../formats/client-form.ts';
import type { TargetName } from '../../formats/format.ts';
import { didYouMean } from '../../text.ts';
import { coreAiProfiles } from './core-ai-profiles.ts';
import { coreMlProfiles } from './core-ml-profiles.ts';
import { onnxProfiles } from './onnx-profiles.ts';
import { type ClientName, clientNames, type Profile } from './profile.ts';

/** Every client's profile. */
export const profiles: { readonly [C in ClientName]: Profile } = {
  ...onnxProfiles,
  ...coreMlProfiles,
  ...coreAiProfiles,
};

/** The client of each target that is written for unless others are named. */
export const usualClients: { readonly [T in TargetName]: ClientName } = {
  onnx: 'optimum',
  coreml: 'swift',
  coreai: 'coreai',
};

/** Whether a client loads what convert writes as it is: there is nothing to bundle for it. */
export function isWhatConvertWrites(client: ClientName): boolean {
  return profiles[client].isComplete === true;
}

/** A client by its name, in any case. Throws `RequestError` that lists all. */
export function clientCalled(text: string): ClientName {
  const wanted = text.trim().toLowerCase();
  const found = clientNames.find((name) => name === wanted);
  if (found) return found;
  throw new RequestError({
    problem: `there is no client called ${text.slice(0, 80) || '(nothing)'}.`,
    advice: `${didYouMean(wanted, clientNames)}Choose from ${clientNames.join(', ')}.`,
  });
}

/** The forms in which a target's artifacts are written for clients: its own (`undefined`) first, then theirs. */
export function formsOf(clients: readonly ClientName[], target: TargetName): (ClientForm | undefined)[] {
  const wanted: readonly Profile[] = clients.map((client) => profiles[client]);
  const own = wanted.filter((profile) => profile.target === target);
  const forms = new Set(own.flatMap(({ form }) => form ?? []));
  // Those with the weights in a file of their own come first: the others cannot share theirs.
  const isOneFile = ({ onnx }: ClientForm) => Number(onnx?.data === null);
  const sorted = [...forms].sort((a, b) => isOneFile(a) - isOneFile(b));
  return own.some(({ form }) => form === undefined) ? [undefined, ...sorted] : sorted;
}
