/** What is kept of a file in the browser's own file system: nothing any more as soon as there is no room for all of it. */
export class KeptFile {
  #handle: FileSystemSyncAccessHandle | undefined;
  /** Whether its bytes are kept, up to now. */
  isKept: boolean;

  constructor(handle: FileSystemSyncAccessHandle | undefined) {
    this.#handle = handle;
    this.isKept = handle !== undefined;
  }

  /** Bytes that are kept, from the first on. */
  get byteLength(): number {
    return this.#handle?.getSize() ?? 0;
  }

  read(into: Uint8Array<ArrayBuffer>): void {
    this.#handle?.read(into, { at: 0 });
  }

  write(part: Uint8Array<ArrayBuffer>, at: number): void {
    if (!this.#handle) return;
    try {
      if (this.#handle.write(part, { at }) === part.length) return;
    } catch {
      // As where only a part fits.
    }
    this.clear();
    this.close();
    this.isKept = false;
  }

  flush(): void {
    this.#handle?.flush();
  }

  clear(): void {
    this.#handle?.truncate(0);
  }

  close(): void {
    this.#handle?.close();
    this.#handle = undefined;
  }
}
