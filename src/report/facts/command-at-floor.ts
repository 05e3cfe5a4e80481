import { nextCommand } from '../../inspect/next-command.ts';

/** The command that judges with a floor. Apart from the verdict: the command line loads it, and zod would come with the rest. */
export function commandAtFloor(floor: number, folder: string, reference: string): string {
  return nextCommand('report', folder, '--reference', reference, '--min-psnr', floor.toFixed(2)).command;
}
