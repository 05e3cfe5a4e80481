import { join } from 'node:path';
import { exists, openFile } from '../../../io/disk.ts';
import { firstOf } from '../../../io/error-text.ts';
import { type HashOptions, hashStream } from '../../../io/hashing/hash-stream.ts';
import { assetFileNames, HASH_BYTES } from '../asset.ts';
import { unknownOperations } from '../known-operations.ts';
import type { CoreAiAsset } from '../open-asset.ts';

/** What clients call, and what a runtime must know, a sentence each. */
export function checkProgram(name: string, { program }: Pick<CoreAiAsset, 'program'>): string[] {
  const functions = program.graphs.filter(({ isPublic }) => isPublic).map((graph) => graph.name);
  const unknown = unknownOperations(program);
  return [
    ...(functions.includes('main')
      ? []
      : [`${name} has no function main, which clients call: it has ${firstOf(functions) || 'none'}.`]),
    ...(unknown.length > 0 ? [`${name} has operations that are unknown here: ${firstOf(unknown)}.`] : []),
  ];
}

/** The system keeps what it compiled of a program by this hash: another program's would bring that program back. */
export async function checkHash(
  path: string,
  name: string,
  { signal }: Pick<HashOptions, 'signal'>,
): Promise<string[]> {
  const { hash, program } = assetFileNames;
  if (!(await exists(join(path, hash)))) return [`${name}/${hash} is missing.`];
  const stored = await openFile(join(path, hash));
  const bytes = new Uint8Array(Math.min(stored.size, HASH_BYTES));
  await stored.read(bytes, 0).finally(() => stored.close());
  const isRight =
    stored.size === HASH_BYTES &&
    Buffer.from(bytes).toString('hex') === (await hashStream(join(path, program), { signal }));
  return isRight ? [] : [`${name}/${hash} is not the SHA-256 of ${program}.`];
}
