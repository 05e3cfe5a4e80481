import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

/** What axe-core finds in a page. */
interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** Counts claims about a page that hold, and prints each. */
export class Checks {
  #passed = 0;
  #failed = 0;

  /** Notes a claim, and what was found. */
  check(claim: string, holds: boolean, found = ''): void {
    if (holds) this.#passed += 1;
    else this.#failed += 1;
    process.stdout.write(`${holds ? 'ok    ' : 'FAILED'}  ${claim}${found === '' ? '' : `: ${found}`}\n`);
  }

  /** Notes that axe-core finds nothing wrong with a page. */
  async accessible(page: Page, where: string): Promise<void> {
    const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
    await page.evaluate(readFileSync(axe, 'utf8'));
    const found: Violation[] = await page.evaluate('axe.run().then(({ violations }) => violations)');
    const shown = found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`).join('; ');
    this.check(`everybody can use it (${where})`, found.length === 0, shown);
  }

  /** Prints the counts, and gives the exit code. */
  end(): number {
    process.stdout.write(`${this.#passed} passed, ${this.#failed} failed\n`);
    return this.#failed > 0 ? 1 : 0;
  }
}
