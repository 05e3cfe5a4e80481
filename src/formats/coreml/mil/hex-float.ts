/**
 * Fractions in a program's text are C's hexadecimal floats (`%a` of the value as a double): exact, and as short as they
 * can be.
 */

/** A number as `0x1.8p+1`, `-0x1p-24`, `0x0p+0`, `inf`, `nan`. */
export function formatHexFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  scratch.setFloat64(0, value);
  const high = scratch.getUint32(0);
  const sign = high >>> 31 ? '-' : '';
  if (!Number.isFinite(value)) return `${sign}inf`;
  if (value === 0) return `${sign}0x0p+0`;
  const biased = (high >>> 20) & 0x7ff;
  const digits = hex(high & 0xfffff, 5) + hex(scratch.getUint32(4), 8);
  const fraction = digits.replace(/0+$/, '');
  const exponent = biased === 0 ? -1022 : biased - 1023;
  return `${sign}0x${biased === 0 ? 0 : 1}${fraction && '.'}${fraction}p${exponent < 0 ? '' : '+'}${exponent}`;
}

/** The number that a decimal or hexadecimal spelling stands for, rounded to a double; `undefined` when it is neither. */
export function parseFloatText(text: string): number | undefined {
  const [, sign, whole = '', fraction = '', exponent = '0'] = hexFloat.exec(text) ?? [];
  if (sign !== undefined) {
    const magnitude = (Number(`0x${whole}${fraction}`) / 16 ** fraction.length) * 2 ** Number(exponent);
    return sign === '-' ? -magnitude : magnitude;
  }
  return /^[+-]?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

const hexFloat = /^([+-]?)0x([0-9a-f]+)(?:\.([0-9a-f]*))?(?:p([+-]?\d+))?$/i;

const scratch = new DataView(new ArrayBuffer(8));

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
