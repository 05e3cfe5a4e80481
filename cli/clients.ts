import { type ClientName, clientNames } from '../src/bundle/profiles/profile.ts';
import { clientCalled } from '../src/bundle/profiles/profiles.ts';

/** The option `--for`: its description, with `more` at its end. */
export function forOption(more = '', clients: readonly ClientName[] = clientNames) {
  return { type: 'string', describe: `For whom, separated by commas: ${clients.join(', ')}${more}` } as const;
}

/** The clients that an option names, each once; `undefined` where it is not given. Throws `RequestError` for others. */
export function parseClients(text: string | undefined): ClientName[] | undefined {
  return text === undefined ? undefined : [...new Set(text.split(',').map(clientCalled))];
}
