import { join, sep } from 'node:path';
import { listFolder, pathKind, realPath } from '../io/disk.ts';

/** What a request's path leads to. */
export type Served =
  | { readonly kind: 'file'; readonly path: string }
  /** A folder that was asked for without a slash at its end, and its address. */
  | { readonly kind: 'moved'; readonly to: string }
  | { readonly kind: 'absent' };

/** The file of a folder's address. */
const INDEX = 'index.html';

/**
 * Finds the file of a request's address below a folder. Nothing outside of the folder is found, whether the way out is
 * `..`, in whatever encoding, or a link; nor are names that begin with a dot.
 */
export async function servedFile(folder: string, address: string): Promise<Served> {
  const names = namesOf(address);
  if (!names) return { kind: 'absent' };
  const path = join(folder, ...names);
  const kind = await pathKind(path).catch(() => undefined);
  if (kind === undefined || !(await isInside(folder, path))) return { kind: 'absent' };
  const isFolderAddress = pathOf(address).endsWith('/');
  if (kind === 'file') return isFolderAddress ? { kind: 'absent' } : { kind: 'file', path };
  if (!isFolderAddress) return { kind: 'moved', to: `/${names.map(encodeURIComponent).join('/')}/` };
  return (await listFolder(path)).includes(INDEX)
    ? servedFile(folder, `/${[...names, INDEX].map(encodeURIComponent).join('/')}`)
    : { kind: 'absent' };
}

/** The names along an address; `undefined` when one of them is no plain name. */
function namesOf(address: string): string[] | undefined {
  try {
    const names = pathOf(address)
      .split('/')
      .filter((name) => name !== '')
      .map(decodeURIComponent);
    return names.some((name) => name.startsWith('.') || /[/\\:\0]/.test(name)) ? undefined : names;
  } catch {
    return undefined; // no UTF-8
  }
}

function pathOf(address: string): string {
  return address.split(/[?#]/, 1)[0] ?? '';
}

async function isInside(folder: string, path: string): Promise<boolean> {
  const [root, real] = [await realPath(folder), await realPath(path)];
  return real === root || real.startsWith(root.endsWith(sep) ? root : root + sep);
}
