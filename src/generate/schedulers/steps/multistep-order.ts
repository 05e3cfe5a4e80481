/** Order of a step: limited by the number of known predictions, and lowered at the end if the options ask for it. */
export function multistepOrder(
  config: {
    readonly lower_order_final: boolean;
    readonly euler_at_final?: boolean;
    readonly final_sigmas_type?: 'zero' | 'sigma_min';
  },
  { known, left, count }: { readonly known: number; readonly left: number; readonly count: number },
): number {
  const lowered = config.lower_order_final && count < 15;
  if (left === 1 && (config.euler_at_final || lowered || config.final_sigmas_type === 'zero')) return 1;
  return Math.min(known, left === 2 && lowered ? 2 : 3);
}
