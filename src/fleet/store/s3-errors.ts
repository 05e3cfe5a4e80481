import {
  DiskSpaceError,
  type ErrorParts,
  NotFoundError,
  RequestError,
  SdConvertError,
  UploadError,
} from '../../errors.ts';

/** What answers of services with S3's API mean, whose codes differ where they have no room. */

/** Whether an object was there already, so that none was written (`If-None-Match: *`). */
export function isThere(error: unknown): boolean {
  return statusOf(error) === 412;
}

/** Whether no object has the key. */
export function isAbsentObject(error: unknown): boolean {
  return statusOf(error) === 404 && codeOf(error) !== 'NoSuchBucket';
}

/** The error of a failed request, in a sentence; errors that have one already stay as they are. */
export function s3Failure(address: string, error: unknown): SdConvertError {
  if (error instanceof SdConvertError) return error;
  const [code, status] = [codeOf(error), statusOf(error)];
  const [Kind, parts] = meaning(address, code, status) ?? [UploadError, unknown(address, error)];
  return new Kind(parts, { cause: error });
}

type Meaning = readonly [new (parts: ErrorParts, options: ErrorOptions) => SdConvertError, ErrorParts];

function meaning(address: string, code: string, status: number | undefined): Meaning | undefined {
  if (code === 'NoSuchBucket')
    return [
      NotFoundError,
      {
        problem: `there is no bucket for ${address}.`,
        advice: 'Make it, or name another place for the results.',
      },
    ];
  if (status === 507 || /StorageFull|QuotaExceeded|InsufficientStorage|DiskFull/i.test(code))
    return [
      DiskSpaceError,
      {
        problem: `${address} has no room.`,
        advice:
          'Free some there or raise its limit; what is whole already stays, and the same command goes on from there.',
      },
    ];
  if (/Credentials(Provider)?Error/.test(code))
    return [
      RequestError,
      {
        problem: `there are no credentials for ${address}.`,
        advice: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.',
      },
    ];
  if (status === 401 || status === 403)
    return [
      RequestError,
      {
        problem: `${address} does not let these credentials in (${code}).`,
        advice:
          'They need the rights to list, read and write there: s3:ListBucket, s3:GetObject, s3:PutObject, and for submit --force s3:DeleteObject.',
      },
    ];
  return undefined;
}

function unknown(address: string, error: unknown): ErrorParts {
  const { message } = error instanceof Error ? error : new Error(String(error));
  return {
    problem: `${address} did not answer as it should.`,
    details: { 'it says': message || codeOf(error) },
    advice: 'Check the connection, AWS_ENDPOINT_URL_S3 and AWS_REGION.',
  };
}

function codeOf(error: unknown): string {
  const { name, Code, code } = Object(error) as { name?: unknown; Code?: unknown; code?: unknown };
  return String(Code ?? code ?? name ?? 'unknown');
}

function statusOf(error: unknown): number | undefined {
  const metadata: unknown = Reflect.get(Object(error), '$metadata');
  const status: unknown = Reflect.get(Object(metadata), 'httpStatusCode');
  return typeof status === 'number' ? status : undefined;
}
