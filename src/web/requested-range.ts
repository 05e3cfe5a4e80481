import type { ByteRange } from '../io/bytes.ts';

/** What a `Range` header asks for: a part, the whole file, or what the file does not have. */
export type RequestedRange = ByteRange | 'whole' | 'unsatisfiable';

/**
 * Reads a `Range` header (RFC 9110, section 14.1.2). The whole file answers what is no range of bytes, and more than one
 * range, as the RFC allows.
 *
 * @example requestedRange('bytes=-100', 1000) // { offset: 900, bytes: 100 }
 */
export function requestedRange(header: string | undefined, size: number): RequestedRange {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined || first + last === '') return 'whole';
  if (first === '') {
    const bytes = Math.min(Number(last), size);
    return bytes > 0 ? { offset: size - bytes, bytes } : 'unsatisfiable';
  }
  const offset = Number(first);
  const end = last === '' ? size : Math.min(Number(last) + 1, size);
  if (last !== '' && Number(last) < offset) return 'whole';
  return offset < size ? { offset, bytes: end - offset } : 'unsatisfiable';
}
