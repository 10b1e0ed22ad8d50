/**
 * How much may be sent to addresses that may be forged (RFC 9000, section 8.1).
 *
 * Who sends a byte with the source address of a victim must not make this program send the victim many.
 * Reads no clock: `now` comes in, in ms.
 *
 * 1. An address that was never heard may be sent nothing.
 * 2. Validated addresses have a table of their own, so that a flood of forged ones cannot push them out.
 * 3. Forgetting is safe: it only ever takes permission away.
 */
import type { ReplyLimit } from "./types.ts";

interface Balance {
  received: number;
  sent: number;
  at: number;
}

/** What each address has sent and was sent. */
export class ReplyBudget {
  readonly #factor: number;
  readonly #maxAddresses: number;
  readonly #ttl: number;
  // Both in the order in which they were last heard.
  readonly #balances = new Map<string, Balance>();
  readonly #validated = new Map<string, number>();

  constructor(limit: ReplyLimit) {
    const { factor = 3, maxAddresses = 1_024, ttl = 60_000 } = limit;
    check("factor", factor, factor >= 0 && factor < Infinity, "a number from 0");
    check("maxAddresses", maxAddresses, maxAddresses >= 1 && maxAddresses < Infinity, "at least 1");
    check("ttl", ttl, ttl > 0, "above 0");
    this.#factor = factor;
    this.#maxAddresses = maxAddresses;
    this.#ttl = ttl;
  }

  /** So many bytes came from there. */
  received(key: string, bytes: number, now: number): void {
    const since = now - this.#ttl;
    if (this.#isValidated(key, since)) {
      this.#touch(this.#validated, key, now);
      return;
    }
    const old = this.#balances.get(key);
    const balance = old !== undefined && old.at > since ? old : { received: 0, sent: 0, at: now };
    balance.received += bytes;
    balance.at = now;
    this.#touch(this.#balances, key, balance);
  }

  /** How many bytes may be sent there. */
  room(key: string, now: number): number {
    const since = now - this.#ttl;
    if (this.#isValidated(key, since)) return Infinity;
    const balance = this.#balances.get(key);
    if (balance === undefined || balance.at <= since) return 0;
    return Math.max(0, Math.floor(balance.received * this.#factor) - balance.sent);
  }

  /** So many bytes were sent there. */
  spend(key: string, bytes: number): void {
    const balance = this.#balances.get(key);
    if (balance !== undefined) balance.sent += bytes;
  }

  /** Whoever is there does receive there. */
  validate(key: string, now: number): void {
    this.#balances.delete(key);
    this.#touch(this.#validated, key, now);
  }

  #isValidated(key: string, since: number): boolean {
    const at = this.#validated.get(key);
    return at !== undefined && at > since;
  }

  /** Puts an entry at the end; one too many pushes out the one that was silent for longest. */
  #touch<V>(table: Map<string, V>, key: string, value: V): void {
    table.delete(key);
    table.set(key, value);
    if (table.size <= this.#maxAddresses) return;
    for (const oldest of table.keys()) {
      table.delete(oldest);
      break;
    }
  }
}

function check(name: string, value: number, good: boolean, expected: string): void {
  if (good) return;
  throw new RangeError(
    `Cannot limit replies as '${name}' must be ${expected}: current value is ${value}`,
  );
}
