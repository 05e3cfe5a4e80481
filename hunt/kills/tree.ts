import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What lies below a folder: the SHA-256 of each file by its path, of links their targets; only of those whose paths fit `names`. */
export type Tree = ReadonlyMap<string, string>;

export function treeOf(folder: string, names = /^/): Tree {
  const tree = new Map<string, string>();
  if (!existsSync(folder)) return tree;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path).replaceAll('\\', '/');
    if (!names.test(name)) continue;
    if (lstatSync(path).isSymbolicLink()) tree.set(name, `→ ${readlinkSync(path)}`);
    else if (entry.isFile()) tree.set(name, createHash('sha256').update(readFileSync(path)).digest('hex'));
    else if (readdirSync(path).length === 0) tree.set(`${name}/`, 'empty');
  }
  return tree;
}

/** States that each file went through, by its path: their SHA-256. */
export class FileStates {
  /** Of the files in question. */
  readonly names: RegExp;
  readonly #hashes = new Map<string, Set<string>>();

  constructor(names: RegExp) {
    this.names = names;
  }

  /** Takes note of the files as they are now in a folder, unless other calls change it meanwhile. */
  note(folder: string): void {
    try {
      this.add([...treeOf(folder, this.names)].map(([path, hash]) => [path, [hash]]));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }

  /** Whether all files of an artifact are in states that they went through. */
  has(files: Tree): boolean {
    return files.size > 0 && [...files].every(([path, hash]) => this.#hashes.get(path)?.has(hash));
  }

  toJSON(): readonly (readonly [string, readonly string[]])[] {
    return [...this.#hashes].map(([path, hashes]) => [path, [...hashes]]);
  }

  /** Takes note of what another process did. */
  add(noted: ReturnType<FileStates['toJSON']>): void {
    for (const [path, hashes] of noted)
      this.#hashes.set(path, new Set([...(this.#hashes.get(path) ?? []), ...hashes]));
  }
}

/** Paths that differ between two trees. */
export function differences(a: Tree, b: Tree): string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((path) => a.get(path) !== b.get(path)).sort();
}

/** Unfinished entries. */
export function leftovers(tree: Tree): string[] {
  return [...tree.keys()].filter((path) => /(^|\/)\.sdc-|\.incomplete$|\.lock$/.test(path));
}

/** The artifacts in a tree, each with its files: packages and compiled models, ONNX models with their data, and files alone. */
export function artifactsOf(tree: Tree): ReadonlyMap<string, Tree> {
  const artifacts = new Map<string, Map<string, string>>();
  for (const [path, hash] of tree) {
    // What is unfinished, or an empty folder, is no artifact.
    if (path.endsWith('/') || leftovers(new Map([[path, hash]])).length > 0) continue;
    // The cache of the Hub is everybody's, and filled file by file.
    const [bundle] = /^(?!cache\/).*?\.(mlpackage|mlmodelc|aimodel)(?=\/)/.exec(path) ?? [];
    const folder = path.replace(/\/[^/]*$/, '');
    const artifact = bundle ?? (/\/model\.onnx(_data.*)?$/.test(path) ? folder : path);
    const files = artifacts.get(artifact) ?? new Map<string, string>();
    artifacts.set(artifact, files.set(path, hash));
  }
  return artifacts;
}

/** The tree as if files whose names fit had the same bytes: they tell of the time that passed. */
export function sameWhereVaries(tree: Tree, names: RegExp): Tree {
  return new Map([...tree].map(([path, hash]) => [path, names.test(path) ? 'any bytes' : hash]));
}
