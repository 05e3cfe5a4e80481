import type { RemoteFile } from '../io/remote-files.ts';
import type { HubFile, HubRepository } from './hub-client.ts';

/** Bytes that are asked for at least: the header of most files comes with the first request. */
const READ_AHEAD = 1 << 16;

/** Stretches of a file that are kept, for readers that go back. */
const MOST_KEPT = 8;

/** A file of the Hub that is read in parts, a request for each stretch that is not there yet. */
export function remoteHubFile(repository: HubRepository, commit: string, file: HubFile): RemoteFile {
  const kept: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  return {
    size: file.size,
    sha256: file.hash === 'sha256' ? file.oid : undefined,
    async read(into, offset) {
      const end = offset + into.length;
      let found = kept.find((each) => each.offset <= offset && end <= each.offset + each.bytes.length);
      if (!found) {
        const length = Math.min(Math.max(into.length, READ_AHEAD), file.size - offset);
        found = { offset, bytes: await repository.read(commit, file, { offset, length }) };
        kept.push(found);
        if (kept.length > MOST_KEPT) kept.shift();
      }
      into.set(found.bytes.subarray(offset - found.offset, end - found.offset));
    },
  };
}
