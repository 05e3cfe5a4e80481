/** A command line of sdconvert, quoted where a shell needs it; what the user has to fill in is in CAPITALS. */
export function nextCommand(name: string, ...args: readonly string[]): { readonly command: string } {
  return { command: ['sdconvert', name, ...args.map(quoted)].join(' ') };
}

function quoted(text: string): string {
  return /^[\w./@%+=:,~-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
