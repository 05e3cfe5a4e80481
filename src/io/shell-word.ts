/**
 * A word of a command line, quoted where a shell needs it: in single quotes, and on Windows in double ones, which both of its
 * shells know.
 *
 * @example shellWord('my model') // "'my model'"
 */
export function shellWord(text: string, platform: string = process.platform): string {
  if (platform === 'win32') return /^[\w./\\@+=:,~-]+$/.test(text) ? text : `"${text}"`;
  return /^[\w./@%+=:,~-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
