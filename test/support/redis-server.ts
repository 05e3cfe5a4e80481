import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** The server's program, where there is one on this machine. */
export const redisProgram = ['redis-server', 'valkey-server'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** A Redis of our own, on a free port, that writes every change to its folder before it answers. */
export class RedisServer {
  readonly address: string;
  readonly #folder: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
    this.address = `redis://127.0.0.1:${port}`;
  }

  /** Starts one; `folder` is there. Throws where it does not answer within ten seconds. */
  static async start(folder: string): Promise<RedisServer> {
    const server = new RedisServer(folder, await freePort());
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--appendfsync', 'always'];
    const place = ['--port', String(this.#port), '--dir', this.#folder];
    this.#process = spawn(redisProgram ?? 'redis-server', [...place, ...settings], { stdio: 'ignore' });
    for (let left = 100; ; left--) {
      if (await this.#answers()) return;
      if (left === 0 || this.#process.exitCode !== null) throw new Error('redis-server does not start');
      await setTimeout(100);
    }
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    const process = this.#process;
    if (!process || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }

  async #answers(): Promise<boolean> {
    const redis = new Redis(this.address, { lazyConnect: true, retryStrategy: () => null });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return (await redis.ping()) === 'PONG'; // not while it still reads its file
    } catch {
      return false;
    } finally {
      redis.disconnect();
    }
  }
}

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // as: a server that listens on a port has an address
  server.close();
  await once(server, 'close');
  return port;
}
