import { timeOfDay } from '../../testbed/timeOfDay';
import type { RefusedLogin } from '../../emulator';
import type { Fault } from './fault';

interface Strike {
  fault: Fault;
  /** Infinity: it is still striking. */
  until: number;
}

export const say = (line: string) =>
  console.log(`[soak] ${timeOfDay(Date.now())} ${line}`);

/** An answer of Backstage holds whole stacks; its log has them as well. */
export const short = (text: string) => text.replace(/\s+/g, ' ').slice(0, 600);

/** Knows which fault is on, and so what may fail and what may not. */
export class Journal {
  /** Requests that were in flight when a fault struck that may fail those. */
  excused = 0;
  readonly failures: string[] = [];
  /** Failures since there have been no more faults. */
  quietFailures = 0;
  /** Refused logins that belong to the fault that was on. */
  expectedRefusals = 0;
  readonly refusals: string[] = [];
  readonly #strikes: Strike[] = [];
  #quiet = false;

  /**
   * A fault begins to strike, and is the current one until the next.
   *
   * @returns what is to be called when it has struck.
   */
  strikes(fault: Fault): () => void {
    const strike = { fault, until: Infinity };
    this.#strikes.push(strike);
    say(`${fault.what} (may fail: ${fault.mayFail})`);
    return () => {
      strike.until = performance.now();
    };
  }

  quiet(): void {
    this.#quiet = true;
  }

  /** A request that began at this time by `performance.now()` has failed. */
  failed(what: string, begun: number, error: Error): void {
    const excuse = this.#strikes.find(
      ({ fault, until }) =>
        fault.mayFail === 'what is in flight' && until >= begun,
    );
    if (excuse) {
      this.excused += 1;
      return;
    }
    const ms = Math.round(performance.now() - begun);
    this.#complain(
      this.failures,
      `${what}, after ${ms} ms, ${this.#circumstances()}: ${error.message}`,
    );
    if (this.#quiet) this.quietFailures += 1;
  }

  refused({ kind, code }: RefusedLogin): void {
    const expected = this.#strikes.at(-1)?.fault.refuses ?? [];
    if (!this.#quiet && kind !== 'upstream' && expected.includes(kind)) {
      this.expectedRefusals += 1;
    } else {
      const text = `login refused as ${kind} (${code}), ${this.#circumstances()}`;
      this.#complain(this.refusals, text);
    }
  }

  #complain(list: string[], text: string): void {
    list.push(text);
    say(`FAILED: ${short(text)}`);
  }

  #circumstances(): string {
    const current = this.#strikes.at(-1);
    if (this.#quiet || !current) return 'without a fault';
    return `since this fault: ${current.fault.what}`;
  }
}
