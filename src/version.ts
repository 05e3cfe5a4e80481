/** This tool's version, as in package.json. */
export const version = '0.1.0';

/** The address of a file of the repository: documentation is no part of the package. */
export function inRepository(path: string): string {
  return `https://github.com/sdconvert/sdconvert/blob/main/${path}`;
}
