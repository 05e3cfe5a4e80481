import { createHash } from 'node:crypto';
import { join, posix } from 'node:path';
import { Readable } from 'node:stream';
import { throwIfInterrupted } from '../../context.ts';
import { FileFormatError } from '../../errors.ts';
import { readProvenance } from '../../formats/provenance.ts';
import { isPlainPath } from '../../hub/hub-id.ts';
import type { ByteSource } from '../../io/bytes.ts';
import { createFolder } from '../../io/create-folders.ts';
import { openFile, readText } from '../../io/disk.ts';
import { filesIn } from '../../io/file-sizes.ts';
import { hashFile } from '../../io/hashing/hash-file.ts';
import { hashStream } from '../../io/hashing/hash-stream.ts';
import { writeHashed } from '../../io/hashing/write-hashed.ts';
import { LARGEST_OBJECT } from '../../io/json/python-json.ts';
import { notFound } from '../../io/not-found.ts';
import { loadOptional } from '../../io/optional-package.ts';
import { streamBytes } from '../../io/stream-bytes.ts';
import { isAbsentObject, isThere, s3Failure } from './s3-errors.ts';
import { compareRecords, otherResult, RECORD, refuseOthersWithin, type Store } from './store.ts';
import { refuseDamaged } from './stored-result.ts';

/** A place in a bucket. */
export interface S3Place {
  readonly address: string;
  readonly bucket: string;
  /** Before all keys, without a slash at its end; may be empty. */
  readonly prefix: string;
  /** The address of a service with S3's API; Amazon's own when left out. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
}

/** Bytes of one part of an upload: with the 10,000 that there may be, files of up to 168 GB. */
const PART_BYTES = 16 * 2 ** 20;

/** Milliseconds without a byte after which a connection counts as broken. */
const PATIENCE = 60_000;

/** More files than a result has. */
const MOST_FILES = 10_000;

const packages = {
  purpose: 'A store in S3',
  packages: ['@aws-sdk/client-s3@3.1175.0', '@aws-sdk/lib-storage@3.1175.0'],
};

/**
 * A bucket. Every object is written on the condition that nothing has its key (`If-None-Match: *`), the record last: so of two
 * workers that put the same result one writes each object, whatever happens to the other, and a result with a record is
 * whole. A record that tells of a new measurement alone replaces the one before. Throws
 * `NotFoundError` where the packages are not installed.
 */
export async function openS3Store(place: S3Place): Promise<Store> {
  const bucket = await S3Bucket.open(place);
  const { address } = place;
  return {
    address,
    recordOf: (name) => bucket.readText(`${name}/${RECORD}`),
    async put(name, folder, { signal }) {
      const key = `${name}/${RECORD}`;
      const there = await bucket.readText(key);
      if (there === undefined && (await putAll(bucket, { name, folder, signal }))) return 'put';
      const own = await readText(join(folder, RECORD));
      const standing = compareRecords(there ?? (await bucket.readText(key)) ?? '', own);
      if (standing === 'other') throw otherResult(address, name, `its ${RECORD} differs`);
      if (standing === 'same') return 'there';
      await bucket.replaceText(key, own);
      return 'put';
    },
    async get(name, into, { signal }) {
      if ((await bucket.readText(`${name}/${RECORD}`)) === undefined) throw notFound(`${address}/${name}`);
      await createFolder(into, async (growing) => {
        const hashes = new Map<string, string>();
        for (const key of await bucket.list(`${name}/`)) {
          throwIfInterrupted(signal);
          const path = join(growing, key);
          hashes.set(path, await bucket.read(`${name}/${key}`, path));
        }
        await refuseDamaged(
          growing,
          `${address}/${name}`,
          async (file) => hashes.get(file) ?? hashFile(file, signal),
        );
      });
      return into;
    },
    async remove(name) {
      if ((await bucket.readText(`${name}/${RECORD}`)) === undefined) return;
      const files = await bucket.list(`${name}/`);
      refuseOthersWithin(address, name, files);
      // Without its record it is no result any more, whatever is left of it.
      for (const file of [RECORD, ...files.filter((each) => each !== RECORD)])
        await bucket.remove(`${name}/${file}`);
    },
    async close() {
      bucket.close();
    },
  };
}

/** Puts all files of a folder, its record last; says whether that was put, and not there already. */
async function putAll(
  bucket: S3Bucket,
  { name, folder, signal }: { name: string; folder: string; signal: AbortSignal | undefined },
): Promise<boolean> {
  const { artifacts = {} } = (await readProvenance(folder)) ?? {};
  const recorded = new Set(
    Object.entries(artifacts).flatMap(([path, { files }]) => files.map((file) => `${path}/${file.name}`)),
  );
  const files = (await filesIn(folder)).map((file) => file.name).filter((file) => file !== RECORD);
  for (const file of files) {
    throwIfInterrupted(signal);
    const outcome = await bucket.putFile(`${name}/${file}`, join(folder, file), signal);
    // A report may tell the time that it took; what is on record is the same in every run.
    if (outcome === 'other' && recorded.has(file))
      throw otherResult(bucket.address, name, `its ${file} differs`);
  }
  return (await bucket.putFile(`${name}/${RECORD}`, join(folder, RECORD), signal)) === 'put';
}

/** The objects below a prefix of a bucket. */
class S3Bucket {
  readonly address: string;
  readonly #sdk: Sdk;
  readonly #client: InstanceType<Sdk['S3Client']>;
  readonly #place: S3Place;

  private constructor(sdk: Sdk, place: S3Place) {
    const { endpoint, region } = place;
    this.address = place.address;
    this.#sdk = sdk;
    this.#place = place;
    this.#client = new sdk.S3Client({
      // A bucket that is part of the host's name needs a name of its own for each, which only Amazon has.
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: 'us-east-1' }),
      ...(region !== undefined && { region }),
      requestHandler: { connectionTimeout: PATIENCE, socketTimeout: PATIENCE },
    });
  }

  static async open(place: S3Place): Promise<S3Bucket> {
    return new S3Bucket(await loadSdk(), place);
  }

  /** A record as text; `undefined` where there is none. Throws `FileFormatError` for what is too large for one. */
  async readText(name: string): Promise<string | undefined> {
    try {
      const { Body } = await this.#client.send(new this.#sdk.GetObjectCommand(this.#object(name)));
      return Body && (await textOf(bytesOf(Body), `${this.address}/${name}`));
    } catch (error) {
      if (isAbsentObject(error)) return undefined;
      throw s3Failure(this.address, error);
    }
  }

  /** Writes a small object, whatever has its key. */
  async replaceText(name: string, text: string): Promise<void> {
    const sha256 = createHash('sha256').update(text).digest('hex');
    const object = { ...this.#object(name), Body: text, Metadata: { sha256 } };
    await this.#send(() => this.#client.send(new this.#sdk.PutObjectCommand(object)));
  }

  /** Removes an object; none of that name is fine. */
  async remove(name: string): Promise<void> {
    await this.#send(() => this.#client.send(new this.#sdk.DeleteObjectCommand(this.#object(name))));
  }

  /** The names of the objects below `prefix`, relative to it. Throws `FileFormatError` for one that leads elsewhere, and for too many. */
  async list(prefix: string): Promise<string[]> {
    const { Bucket, Key: Prefix } = this.#object(prefix);
    const names: string[] = [];
    let pages = 0;
    try {
      for await (const { Contents = [] } of this.#sdk.paginateListObjectsV2(
        { client: this.#client },
        { Bucket, Prefix },
      )) {
        for (const { Key = '' } of Contents) names.push(Key.slice(Prefix.length));
        if (++pages + names.length > MOST_FILES) throw withoutEnd(`${this.address}/${prefix}`);
      }
    } catch (error) {
      throw s3Failure(this.address, error);
    }
    const strange = names.find((name) => !isPlainPath(name));
    if (strange === undefined) return names;
    throw new FileFormatError({
      problem: `${this.address} has an object whose name leads out of its folder.`,
      details: { found: `${prefix}${strange}` },
      advice: 'Remove it there.',
    });
  }

  /** Reads an object into a file; gives its SHA-256. Throws `FileFormatError` where its bytes are not those that were put. */
  async read(name: string, path: string): Promise<string> {
    try {
      const { Body, Metadata } = await this.#client.send(new this.#sdk.GetObjectCommand(this.#object(name)));
      const { sha256 } = await writeHashed(path, async (write) => {
        let offset = 0;
        for await (const bytes of bytesOf(Body)) {
          await write(bytes, offset);
          offset += bytes.length;
        }
      });
      if (Metadata?.sha256 === undefined || Metadata.sha256 === sha256) return sha256;
    } catch (error) {
      throw s3Failure(this.address, error);
    }
    throw new FileFormatError({
      problem: `${this.address}/${name} is not the file that was put there.`,
      advice: 'Remove the result there and submit it again.',
    });
  }

  /** Puts a file where nothing has its name; otherwise says whether the same bytes are there, or others. */
  async putFile(
    name: string,
    path: string,
    signal: AbortSignal | undefined,
  ): Promise<'put' | 'same' | 'other'> {
    const sha256 = await hashStream(path, { signal });
    const source = await openFile(path);
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const upload = new this.#sdk.Upload({
        client: this.#client,
        partSize: PART_BYTES,
        abortController: stop,
        params: {
          ...this.#object(name),
          Body: Readable.from(blocksOf(source)),
          IfNoneMatch: '*',
          Metadata: { sha256 },
        },
      });
      await upload.done();
      return 'put';
    } catch (error) {
      throwIfInterrupted(signal);
      if (!isThere(error)) throw s3Failure(this.address, error);
      return (await this.#sha256Of(name)) === sha256 ? 'same' : 'other';
    } finally {
      signal?.removeEventListener('abort', abort);
      await source.close();
    }
  }

  close(): void {
    this.#client.destroy();
  }

  async #sha256Of(name: string): Promise<string | undefined> {
    const { Metadata } = await this.#send(() =>
      this.#client.send(new this.#sdk.HeadObjectCommand(this.#object(name))),
    );
    return Metadata?.sha256;
  }

  /** Makes a request; its failure is told in a sentence. */
  async #send<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      throw s3Failure(this.address, error);
    }
  }

  #object(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#place.bucket, Key: posix.join(this.#place.prefix, name) };
  }
}

/** The bytes of an answer, as they come. */
function bytesOf(body: unknown): AsyncIterable<Uint8Array> {
  // as: in Node, a body is a stream of bytes.
  return body as AsyncIterable<Uint8Array>;
}

async function textOf(body: AsyncIterable<Uint8Array>, name: string): Promise<string> {
  const blocks: Uint8Array[] = [];
  let length = 0;
  for await (const bytes of body) {
    length += bytes.length;
    if (length > LARGEST_OBJECT)
      throw new FileFormatError({
        problem: `${name} is not as sdconvert writes it: it is too large.`,
        advice: 'Remove that result, and submit it again.',
      });
    blocks.push(bytes);
  }
  return new TextDecoder().decode(Buffer.concat(blocks));
}

function withoutEnd(place: string): FileFormatError {
  return new FileFormatError({
    problem: `${place} has more than ${MOST_FILES.toLocaleString('en')} objects, which no result has.`,
    advice: 'Check the address of the store, and AWS_ENDPOINT_URL_S3.',
  });
}

type Sdk = Awaited<ReturnType<typeof loadSdk>>;

function loadSdk() {
  return loadOptional(packages, async () => {
    const [client, { Upload }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@aws-sdk/lib-storage'),
    ]);
    const { S3Client, GetObjectCommand, HeadObjectCommand, PutObjectCommand, DeleteObjectCommand } = client;
    const { paginateListObjectsV2 } = client;
    const commands = { GetObjectCommand, HeadObjectCommand, PutObjectCommand, DeleteObjectCommand };
    return { S3Client, ...commands, paginateListObjectsV2, Upload };
  });
}

/** A file's bytes in blocks that are nobody else's, since an upload collects them. */
async function* blocksOf(source: ByteSource): AsyncGenerator<Uint8Array> {
  for await (const block of streamBytes(source, 0, source.size)) yield block.slice();
}
