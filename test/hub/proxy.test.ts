import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { resolveModel } from '../../src/checkpoint/from-hub/resolve-model.ts';
import { DownloadError, RequestError } from '../../src/errors.ts';
import { hubOptionsFrom } from '../../src/hub/hub-options.ts';
import { proxyFrom, proxyOf } from '../../src/hub/proxy.ts';
import { checkpointFiles, repository } from '../support/hub-checkpoint.ts';
import { hubFixture } from '../support/hub-fixture.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const hub = hubFixture();

/** A proxy as companies have it: it joins two connections (CONNECT), for those who log in where it wants that. */
let models = 0;
const connected: string[] = [];
let password: string | undefined;
const proxy = createServer().on('connect', (request, socket, head) => {
  connected.push(request.url ?? '');
  const given = Buffer.from(request.headers['proxy-authorization']?.split(' ')[1] ?? '', 'base64').toString();
  if (password !== undefined && given !== `me:${password}`)
    return void socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
  const [host, port] = (request.url ?? '').split(':');
  const other = connect(Number(port), host, () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    other.write(head);
    other.pipe(socket).pipe(other);
  });
  socket.on('error', () => other.destroy());
  other.on('error', () => socket.destroy());
});
let address = '';

beforeAll(async () => {
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
  address = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
});
afterAll(() => void proxy.close());
beforeEach(() => {
  connected.length = 0;
  password = undefined;
  // A name of its own each time: what is in the cache needs no proxy.
  hub.server.repositories.set(`org/model${++models}`, repository(checkpointFiles));
});

async function through(env: Readonly<Record<string, string>>) {
  const { proxy, fetch } = await hubOptionsFrom(env, '/');
  return resolveModel(`org/model${models}`, { ...hub.options, proxy, fetch });
}

describe('a proxy that the environment names', () => {
  test.each(['HTTP_PROXY', 'http_proxy', 'ALL_PROXY'])('in %s carries every request', async (name) => {
    await through({ [name]: address });
    expect(connected.length).toBeGreaterThan(0);
    expect(new Set(connected)).toContain(new URL(hub.server.url).host);
  });

  test('is left aside for the hosts in NO_PROXY', async () => {
    await through({ HTTP_PROXY: address, NO_PROXY: '127.0.0.1,localhost' });
    expect(connected).toEqual([]);
  });

  test('is not blamed for hosts in NO_PROXY', async () => {
    const env = { HTTP_PROXY: 'http://127.0.0.1:2', NO_PROXY: '127.0.0.1' };
    hub.options = { ...hub.options, endpoint: 'http://127.0.0.1:1' };
    expect((await rejectionOf(through(env))).problem).toContain('the connection to 127.0.0.1:1 failed');
  });

  test('gets the name and the password of its address, and no error shows them', async () => {
    password = 'secret';
    const refused = await rejectionOf(through({ HTTP_PROXY: `http://me:wrong@${address}` }));
    expect(refused).toBeInstanceOf(DownloadError);
    expect(refused.problem).toBe(`the proxy http://${address} wants a name and a password.`);
    expect(refused.message).not.toContain('wrong');
    await through({ HTTP_PROXY: `http://me:secret@${address}` });
  });

  test.each(['http://[', 'socks5://me:secret@127.0.0.1:1', 'http://a b'])(
    'that is none, %s, is told to whom asks the Hub, and to nobody else',
    async (proxy) => {
      await hubOptionsFrom({ HTTPS_PROXY: proxy }, '/');
      const refused = await rejectionOf(through({ HTTP_PROXY: proxy }));
      expect(refused).toBeInstanceOf(RequestError);
      expect(refused.problem).toContain('is not the address of a proxy');
      expect(refused.message).not.toContain('secret');
    },
  );

  test('is named where it cannot be reached', async () => {
    const refused = await rejectionOf(through({ HTTP_PROXY: 'http://127.0.0.1:1' }));
    expect(refused.problem).toContain(`through the proxy http://127.0.0.1:1 failed`);
  });
});

test('proxies are read as curl reads them', () => {
  expect(proxyFrom({})).toBeUndefined();
  expect(proxyFrom({ HTTPS_PROXY: 'a:1' })).toEqual({ http: undefined, https: 'a:1', except: undefined });
  expect(proxyFrom({ HTTPS_PROXY: 'a:1', https_proxy: 'b:2', NO_PROXY: '*' })).toMatchObject({
    https: 'b:2',
    except: '*',
  });
});

describe('NO_PROXY is read as curl reads it', () => {
  const isDirect = (except: string, address: string) =>
    proxyOf(new URL(address), { http: 'p:1', https: 'p:1', except }) === undefined;

  test.each([
    ['huggingface.co', 'https://huggingface.co/org/name'],
    ['huggingface.co', 'https://cdn-lfs.huggingface.co/file'],
    ['.example.com', 'https://example.com/'],
    ['*.example.com', 'https://hub.example.com/'],
    ['a.b, HUB.Example.com', 'https://hub.example.com/'],
    ['localhost:8080', 'http://localhost:8080/'],
    ['hub.example.com:443', 'https://hub.example.com/'],
    ['::1', 'http://[::1]:8080/'],
    ['[::1]:8080', 'http://[::1]:8080/'],
    ['*', 'https://anything/'],
  ])('%s is for %s', (except, address) => {
    expect(isDirect(except, address)).toBe(true);
  });

  test.each([
    ['', 'https://huggingface.co/'],
    [',', 'https://huggingface.co/'],
    ['face.co', 'https://huggingface.co/'],
    ['localhost:8081', 'http://localhost:8080/'],
    ['cdn.huggingface.co', 'https://huggingface.co/'],
  ])('%s is not for %s', (except, address) => {
    expect(isDirect(except, address)).toBe(false);
  });

  test('an address of a kind for which no proxy is named is asked directly', () => {
    expect(proxyOf(new URL('http://hub'), { https: 'p:1' })).toBeUndefined();
  });
});
