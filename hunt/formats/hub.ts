import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { download } from '../../src/commands/download.ts';
import type { Format } from '../format.ts';
import { jsonMutators } from '../mutate-json.ts';
import { bytesOf } from './seeds.ts';

const commit = 'c0ffee'.padEnd(40, '0');

/** Files of the imagined repository, all of them `{}`: their hash is SHA-1 of Git's header and the bytes. */
const names = ['original/packages/a.json', 'original/packages/b/c.json', 'README.md'];
const oid = '9e26dfeeb6e641a33dae4961196235bdb965b21b';

/** What a Hub says: the description of a revision, the list of its files, and how it answers with a file. */
export const hubAnswers: Format = {
  name: 'Hub answers',
  seeds: async () => [
    new Map([
      ['revision', bytesOf(JSON.stringify({ id: 'org/name', sha: commit, siblings: [] }))],
      ['tree', bytesOf(JSON.stringify(names.map((path) => ({ type: 'file', path, size: 2, oid }))))],
      ['tree-link', bytesOf('""')],
      ['file', bytesOf(JSON.stringify({ status: 200, headers: { 'content-length': '2' }, body: '{}' }))],
    ]),
  ],
  parts: [{ files: /./, mutators: jsonMutators }],
  async read(folder) {
    const cacheDir = join(folder, 'cache');
    mkdirSync(cacheDir);
    await download({
      repo: 'org/name',
      variant: 'original/packages',
      endpoint: 'https://hub.invalid',
      cacheDir,
      output: join(folder, 'output'),
      fetch: async (input) => answer(new URL(input instanceof Request ? input.url : input), folder),
      wait: async () => {},
      patience: 50,
    });
  },
};

function answer(url: URL, folder: string): Response {
  const said = (name: string): string => readFileSync(join(folder, name), 'utf8');
  if (url.pathname.includes('/revision/')) return new Response(said('revision'));
  if (url.pathname.includes('/tree/')) {
    const link = said('tree-link').replaceAll('"', '');
    return new Response(said('tree'), { headers: isHeader(link) ? { link } : {} });
  }
  const { status, headers, body } = answerIn(said('file'));
  return new Response(status === 204 || status === 304 ? null : body, { status, headers });
}

/** Nothing else can come over HTTP. */
function answerIn(text: string): { status: number; headers: Record<string, string>; body: string } {
  let value: { status?: unknown; headers?: object; body?: unknown } | null = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Broken by an earlier change: the body alone.
  }
  const { status, headers, body } = value ?? {};
  const isStatus = typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599;
  const pairs = Object.entries(headers ?? {}).filter(
    ([name, each]) => /^[\w-]+$/.test(name) && isHeader(each),
  );
  return { status: isStatus ? status : 200, headers: Object.fromEntries(pairs), body: String(body ?? text) };
}

function isHeader(text: unknown): text is string {
  return typeof text === 'string' && /^[ -~]*$/.test(text);
}
