import type { ProgressEvent } from '../src/context.ts';
import { formatBytes } from '../src/text.ts';

type Progress = ProgressEvent & { readonly type: 'progress' };

/** Below this many seconds of work a speed would be a guess. */
const SECONDS_TO_KNOW = 1;

/** Estimates the speed of a stage from its progress so far. */
export class Pace {
  #stage = '';
  #since = 0;
  #doneThen = 0;

  /** Units per second and seconds left; `undefined` until they are known. `now` is in seconds. */
  of({ stage, done, total }: Progress, now: number): { rate: number; left: number } | undefined {
    if (stage !== this.#stage || done < this.#doneThen) {
      this.#stage = stage;
      this.#since = now;
      this.#doneThen = done;
    }
    const seconds = now - this.#since;
    const rate = (done - this.#doneThen) / seconds;
    return seconds >= SECONDS_TO_KNOW && rate > 0 ? { rate, left: (total - done) / rate } : undefined;
  }
}

/**
 * Formats a stage's progress in at most `columns` characters: current item, amount done, speed, time left. The item is
 * shortened first, at its start, because paths differ at their end.
 */
export function progressText(event: Progress, pace: ReturnType<Pace['of']>, columns: number): string {
  const { what, done, total, unit } = event;
  const amount = unit === 'bytes' ? bytesOf(done, total) : `${done} of ${total}`;
  const rate = pace && unit ? [rateOf(pace.rate, unit)] : [];
  const left = pace && done < total ? [`${duration(pace.left)} left`] : [];
  const memory = unit === 'steps' ? [`${formatBytes(process.memoryUsage.rss())} in memory`] : [];
  const forms = [
    [amount, ...rate, ...left, ...memory],
    [amount, ...rate, ...left],
    [amount, ...left],
    [`${total === 0 ? 100 : Math.floor((100 * done) / total)} %`, ...left],
  ].map((parts) => parts.join('  '));
  const form = forms.find((text) => text.length + SHORTEST_WHAT <= columns) ?? forms.at(-1) ?? '';
  const room = columns - form.length - 2;
  return room < 2 ? form.slice(0, columns) : `${shortened(what, room)}  ${form}`;
}

/** Least room for the current item, in columns. */
const SHORTEST_WHAT = 20;

/** `1.2 MB/s`; of steps `2.3 it/s`, or `4.1 s/it` where one takes longer than a second. */
function rateOf(rate: number, unit: NonNullable<Progress['unit']>): string {
  if (unit === 'bytes') return `${formatBytes(Math.round(rate))}/s`;
  return rate >= 1 ? `${rate.toFixed(1)} it/s` : `${(1 / rate).toFixed(1)} s/it`;
}

/** `1.2 of 3.4 GB`: a common unit is written once. */
function bytesOf(done: number, total: number): string {
  const [[some = '', unit = ''], [all = '', same = '']] = [
    formatBytes(done).split(' '),
    formatBytes(total).split(' '),
  ];
  return unit === same ? `${some} of ${all} ${same}` : `${some} ${unit} of ${all} ${same}`;
}

/** `8 s`, `2 min 5 s`, `1 h 20 min`. */
function duration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Shortens a text to its end. */
function shortened(text: string, room: number): string {
  return text.length <= room ? text : `…${text.slice(text.length - Math.max(0, room - 1))}`;
}
