/**
 * A call of the other end, as a test keeps it that answers by hand.
 */
import type { RpcCode } from "../../src/base/errors.ts";
import type { Bytes } from "../../src/base/types.ts";
import type { CallEvents, RunningCall } from "../../src/session/calls.ts";
import type { ReceiveFlow, SendFlow } from "../../src/session/flows.ts";
import type { Metadata } from "../../src/wire/metadata.ts";

/** What a session says of it. */
export type NewCall = Parameters<CallEvents["newCall"]>;

/** Who answers. */
export interface RunningEvents {
  begin(call: RunningCall): void;
  cancel(call: RunningCall, code: RpcCode): void;
}

/** The call. */
export class TestRunning implements RunningCall {
  readonly id: number;
  readonly method: string;
  readonly payload: Bytes;
  readonly metadata: Metadata;
  readonly receiving: ReceiveFlow | undefined;
  readonly deadlineAt: number;
  answered = false;
  cancelled = false;
  answer = new Uint8Array(0);
  sending: SendFlow | undefined;
  readonly #events: RunningEvents;

  constructor(events: RunningEvents, call: NewCall) {
    const [, id, method, payload, metadata, receiving, deadlineAt] = call;
    this.#events = events;
    this.id = id;
    this.method = method;
    this.payload = payload;
    this.metadata = metadata;
    this.receiving = receiving;
    this.deadlineAt = deadlineAt;
  }

  begin(): void {
    this.#events.begin(this);
  }

  cancel(code: RpcCode): void {
    this.#events.cancel(this, code);
  }
}
