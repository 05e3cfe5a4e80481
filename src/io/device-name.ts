const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³])$/i;

/** Whether a name is a device's on Windows, which no file and no folder can have, whatever follows its first dot. */
export function isDeviceName(name: string): boolean {
  return DEVICE.test(name.split('.')[0] ?? '');
}
