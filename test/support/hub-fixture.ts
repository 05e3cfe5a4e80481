import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { HubOptions } from '../../src/hub/hub-options.ts';
import { type Fault, type HubServer, startHub } from './hub-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** An imitation of the Hub for the tests of one file. */
export interface HubFixture {
  readonly server: HubServer;
  /** What asks it, with an empty cache for each test, and waits that take no time. */
  options: HubOptions;
  /** The milliseconds of the waits between attempts. */
  readonly waits: number[];
  /** The next answers for one file go wrong like this. */
  faultOf(name: string, ...faults: Fault[]): void;
  /** The `Range` of each request for a file. */
  rangesOf(name: string): (string | undefined)[];
  /** The requests for files, without those that redirects led to. */
  fileRequests(): string[];
}

/** Starts it before all tests, and forgets everything before each. Call at the top level. */
export function hubFixture(): HubFixture {
  const temporary = temporaryFolder();
  let server: HubServer | undefined;
  let caches = 0;
  const fixture: HubFixture = {
    get server() {
      if (!server) throw new Error('the server runs only while tests do');
      return server;
    },
    options: { endpoint: '', cacheDir: '' },
    waits: [],
    faultOf(name, ...faults) {
      const next = inTurn(...faults);
      fixture.server.fault = (file) => (file === name ? next() : undefined);
    },
    rangesOf: (name) =>
      fixture.server.seen.filter(({ path }) => path.endsWith(`/${name}`)).map(({ range }) => range),
    fileRequests: () =>
      fixture.server.seen.filter(({ path }) => path.includes('/resolve/')).map(({ path }) => path),
  };
  beforeAll(async () => {
    server = await startHub();
  });
  afterAll(() => server?.close());
  beforeEach(() => {
    fixture.server.repositories.clear();
    fixture.server.seen.length = 0;
    fixture.server.uploads.clear();
    fixture.server.commits.length = 0;
    fixture.server.bytesSent = 0;
    fixture.server.fault = () => undefined;
    fixture.server.api = () => undefined;
    fixture.server.changeList = (entries) => entries;
    fixture.waits.length = 0;
    fixture.options = {
      endpoint: fixture.server.url,
      cacheDir: temporary(`cache${caches++}`),
      wait: async (milliseconds) => void fixture.waits.push(milliseconds),
    };
  });
  return fixture;
}

/** Each fault once, then none. */
export function inTurn(...faults: Fault[]): () => Fault | undefined {
  return () => faults.shift();
}

/** The files (and links) in a folder and those in it, as sorted paths. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
