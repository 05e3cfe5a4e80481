/** To be imported before the command line (`--import`): files are renamed without being synced. */
import { promises as fs } from 'node:fs';

const open = fs.open.bind(fs);
fs.open = async (...args: Parameters<typeof open>) => {
  const handle = await open(...args);
  handle.datasync = async () => {};
  return handle;
};

const writeFile = fs.writeFile.bind(fs);
fs.writeFile = (path, data, options) =>
  writeFile(path, data, typeof options === 'object' ? { ...options, flush: false } : options);
