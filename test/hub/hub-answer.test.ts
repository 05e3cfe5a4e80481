import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { DownloadError } from '../../src/errors.ts';
import { openRepository } from '../../src/hub/hub-client.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const temporary = temporaryFolder();
const commit = 'a'.repeat(40);
let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A repository on a Hub that answers like this. */
async function hubThat(answers: RequestListener, patience = 60_000) {
  server = createServer(answers);
  await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const options = {
    endpoint: `http://127.0.0.1:${port}`,
    cacheDir: temporary(),
    wait: async () => {},
    patience,
  };
  return openRepository('org/name', options, { signal: undefined, note: () => {} });
}

describe('a Hub that answers as none does is refused in one sentence', () => {
  test.each([
    ['null', 'null'],
    ['a list with null in it', '[null]'],
    ['a text where an object is expected', '"hello"'],
    ['a list of numbers', '[1, 2]'],
    ['names that are objects', '[{"type":"file","path":{"a":1},"size":1,"oid":"x"}]'],
  ])('with %s', async (_, body) => {
    const hub = await hubThat((_request, response) =>
      response.setHeader('content-type', 'application/json').end(body),
    );
    for (const ask of [() => hub.list(commit), () => hub.commitOf('main')]) {
      const error = await rejectionOf(ask());
      expect(error.problem).toMatch(/does not answer as the Hub does|whose name leads out of its folder/);
    }
  });

  test('with a list that always has another page', async () => {
    let requests = 0;
    const hub = await hubThat((request, response) => {
      requests++;
      const next = `http://${request.headers.host}/api?cursor=${requests}`;
      response
        .setHeader('link', `<${next}>; rel="next"`)
        .setHeader('content-type', 'application/json')
        .end('[]');
      if (requests > 2000) response.destroy();
    });
    const error = await rejectionOf(hub.list(commit));
    expect(error.problem).toContain('answers without end');
    expect(requests).toBeLessThan(1100);
  });

  test('with a list whose next page is itself', async () => {
    let requests = 0;
    const hub = await hubThat((request, response) => {
      requests++;
      const self = `http://${request.headers.host}${request.url}`;
      response
        .setHeader('link', `<${self}>; rel="next"`)
        .setHeader('content-type', 'application/json')
        .end('[]');
    });
    await expect(hub.list(commit)).rejects.toThrow('does not answer as the Hub does');
    expect(requests).toBeLessThan(4);
  });

  test('with an answer that has no end', async () => {
    const megabyte = Buffer.alloc(1 << 20, ' ');
    const hub = await hubThat((_request, response) => {
      const more = (): void => {
        while (response.write(megabyte));
        response.once('drain', more);
      };
      more();
    });
    const error = await rejectionOf(hub.list(commit));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.problem).toContain('answers without end');
  });

  test.each([
    ['before the headers', false],
    ['after the headers', true],
  ])('with silence %s', async (_, begins) => {
    const hub = await hubThat((_request, response) => {
      if (begins) response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    }, 50);
    const error = await rejectionOf(hub.list(commit));
    expect(error).toBeInstanceOf(DownloadError);
    expect(error.problem).toContain('said nothing for');
  });
});
