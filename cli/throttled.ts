import type { ProgressEvent } from '../src/context.ts';

/** Passes events on, but progress at most once per `milliseconds`, and a note once: stages that see the same say the same. */
export function throttled(
  show: (event: ProgressEvent) => void,
  milliseconds = 200,
): (event: ProgressEvent) => void {
  let last = Number.NEGATIVE_INFINITY;
  const notes = new Set<string>();
  return (event) => {
    if (event.type === 'progress') {
      if (performance.now() - last < milliseconds) return;
      last = performance.now();
    }
    if (event.type === 'note') {
      if (notes.has(event.message)) return;
      notes.add(event.message);
    }
    show(event);
  };
}
