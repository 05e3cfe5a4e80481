import type { ProgressEvent } from '../src/context.ts';

/** Passes events on, but progress at most once per `milliseconds`. */
export function throttled(
  show: (event: ProgressEvent) => void,
  milliseconds = 200,
): (event: ProgressEvent) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (event) => {
    if (event.type === 'progress') {
      if (performance.now() - last < milliseconds) return;
      last = performance.now();
    }
    show(event);
  };
}
