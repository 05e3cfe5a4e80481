import { resolve } from 'node:path';
import { RequestError } from '../../errors.ts';
import { openFolderStore } from './folder-store.ts';
import type { Store } from './store.ts';

/** Settings of stores that the address does not say. */
export interface StoreOptions {
  /** The address of a service with S3's API; Amazon's own when left out. */
  readonly s3Endpoint?: string | undefined;
  /** The region of the bucket; what the machine's settings say when left out. */
  readonly s3Region?: string | undefined;
}

/** Settings of stores in the environment, under the names that Amazon's own tools read. */
export function storeOptionsFrom(env: Readonly<Record<string, string | undefined>>): StoreOptions {
  return {
    s3Endpoint: env.AWS_ENDPOINT_URL_S3 || env.AWS_ENDPOINT_URL || undefined,
    s3Region: env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined,
  };
}

/** Whether an address is meant as one of a service, and no path; `s3:/bucket` is, and lacks a slash. */
export function isService(address: string): boolean {
  return /^(s3:|[a-z][a-z\d+.-]+:\/)/i.test(address);
}

/** The address of a store as every worker understands it: an absolute path, or `s3://…`. Throws `RequestError` for any other. */
export function storeAddress(address: string): string {
  if (!isService(address)) return resolve(address);
  const { bucket, prefix } = s3Place(address);
  return `s3://${[bucket, prefix].filter((part) => part !== '').join('/')}`;
}

/**
 * Opens the store at an address: a folder, or `s3://bucket/prefix`. Throws `RequestError` for any other address, and
 * `NotFoundError` where the packages that S3 needs are not installed.
 */
export async function openStore(address: string, options: StoreOptions = {}): Promise<Store> {
  if (!isService(address)) return openFolderStore(resolve(address));
  const { s3Endpoint: endpoint, s3Region: region } = options;
  const place = s3Place(address);
  const { openS3Store } = await import('./s3-store.ts');
  return openS3Store({ address: storeAddress(address), ...place, endpoint, region });
}

function s3Place(address: string): { readonly bucket: string; readonly prefix: string } {
  const [, bucket, prefix = ''] = /^s3:\/\/([a-z\d][a-z\d.-]+)(?:\/(.*?))?\/*$/.exec(address) ?? [];
  if (bucket !== undefined) return { bucket, prefix };
  throw new RequestError({
    problem: `${address} is no place for results.`,
    advice: 'Write a folder, or s3://bucket/prefix.',
  });
}
