import type { Need } from '../context.ts';

/** What there is of a machine for items to share. */
export interface Capacity {
  readonly memoryBytes: number;
  /** Asks how much can still be written. */
  freeDiskBytes(): Promise<number>;
}

/** Somebody who waits for room. */
interface Waiting {
  readonly who: object;
  readonly need: Need;
  readonly enter: () => void;
}

/**
 * Lets items in while the machine has room for what they say they need, in the order in which they ask. One may always be in:
 * whatever does not fit alone fails by itself, and says what it lacked.
 */
export class Room {
  readonly #capacity: Capacity;
  readonly #inside = new Map<object, Need>();
  #waiting: readonly Waiting[] = [];
  #turn = Promise.resolve();

  constructor(capacity: Capacity) {
    this.#capacity = capacity;
  }

  /** Resolves when there is room. Who is inside leaves first: two who wait for each other would wait for ever. */
  enter(who: object, need: Need): Promise<void> {
    this.#inside.delete(who);
    return new Promise((enter) => {
      this.#waiting = [...this.#waiting, { who, need, enter }];
      this.#letIn();
    });
  }

  /** Makes room for others, or gives up waiting. */
  leave(who: object): void {
    this.#inside.delete(who);
    this.#waiting = this.#waiting.filter((each) => each.who !== who);
    this.#letIn();
  }

  /** One look at a time: each counts those whom the one before let in. */
  #letIn(): void {
    this.#turn = this.#turn.then(async () => {
      while (this.#waiting[0] && (await this.#fits(this.#waiting[0].need))) {
        // Who was first may have left meanwhile.
        const [first, ...others] = this.#waiting;
        if (!first) return;
        this.#waiting = others;
        this.#inside.set(first.who, first.need);
        first.enter();
      }
    });
  }

  async #fits(need: Need): Promise<boolean> {
    if (this.#inside.size === 0) return true;
    const taken = [...this.#inside.values()];
    const sum = (of: keyof Need): number => taken.reduce((total, each) => total + each[of], need[of]);
    // What others have written of their share is not free any more: disk is counted twice rather than not at all.
    return (
      sum('memoryBytes') <= this.#capacity.memoryBytes &&
      sum('diskBytes') <= (await this.#capacity.freeDiskBytes().catch(() => 0))
    );
  }
}
