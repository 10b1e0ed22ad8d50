/**
 * Waits for what handlers promise.
 *
 * Two functions for each promise would cost as much as all else that is done for a short call, so a
 * wait is used again, for whichever peer's call comes next.
 *
 * 1. One of the two outcomes is told, once, whatever the promise is.
 * 2. A wait that has ended holds nothing of its call.
 */
import type { HandlerContext } from "./handler_context.ts";

/** What is told of the promise of a handler. */
export interface Outcome {
  /** It was kept. */
  kept(context: HandlerContext, value: unknown): void;
  /** It was broken. */
  broken(context: HandlerContext, error: unknown): void;
}

/** So many are kept for others. */
const MAX_IDLE = 1_024;
/** That of the language: one that a promise has of its own could tell more than once. */
const { then } = Promise.prototype;
const idle: Wait[] = [];

/** Tells `outcome` when the promise is settled, never at once. */
export function whenSettled(
  promise: PromiseLike<unknown>,
  context: HandlerContext,
  outcome: Outcome,
): void {
  (idle.pop() ?? new Wait()).begin(promise, context, outcome);
}

class Wait {
  #context: HandlerContext | undefined;
  #outcome: Outcome | undefined;

  begin(promise: PromiseLike<unknown>, context: HandlerContext, outcome: Outcome): void {
    this.#context = context;
    this.#outcome = outcome;
    then.call(Promise.resolve(promise), this.#kept, this.#broken);
  }

  readonly #kept = (value: unknown): void => {
    const context = this.#context;
    const outcome = this.#outcome;
    this.#end();
    if (context !== undefined) outcome?.kept(context, value);
  };

  readonly #broken = (error: unknown): void => {
    const context = this.#context;
    const outcome = this.#outcome;
    this.#end();
    if (context !== undefined) outcome?.broken(context, error);
  };

  #end(): void {
    this.#context = undefined;
    this.#outcome = undefined;
    if (idle.length < MAX_IDLE) idle.push(this);
  }
}
