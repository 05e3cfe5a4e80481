/** The declared form of an option's name: `maxChunkSize` and `max_chunk_size` → `max-chunk-size`. */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('_', '-');
}
