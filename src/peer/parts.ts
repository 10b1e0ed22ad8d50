/**
 * What a core consists of, put together: what arrives, what is sent, and the calls.
 *
 * Owns the wiring only. It is here since it is long, and says nothing of how a peer lives and ends.
 */
import type { VnetError } from "../base/errors.ts";
import { ProtocolError } from "../base/errors.ts";
import type { CallMachine } from "../session/call_machine.ts";
import { decodeMessage } from "./bodies.ts";
import { PeerCalls } from "./calls.ts";
import { Inbox } from "./inbox.ts";
import type { CoreOptions, CoreOwner } from "./owner.ts";
import type { PeerLog } from "./peer_log.ts";
import { SendQueue } from "./send_queue.ts";
import { Sender } from "./sender.ts";
import type { Counters } from "./stats.ts";

/** What the parts need of their core. */
export interface PartsHost {
  readonly counters: Counters;
  readonly log: PeerLog;
  /** The calls of the open session. */
  readonly machine: () => CallMachine | undefined;
  /** Bytes handed to the network and not yet taken by it. */
  readonly inFlight: () => number;
  /** Whether there is an open link. */
  readonly open: () => boolean;
  /** Says that there is output. */
  readonly wake: () => void;
  /** Why nothing may be sent now. */
  readonly sendRefusal: () => VnetError | undefined;
  /** Why no call can be made now. */
  readonly callRefusal: (nested: boolean) => string | undefined;
  /** Whether a call of the other end is still taken. */
  readonly taken: () => boolean;
  /** A call has ended. */
  readonly settled: () => void;
  /** The other end is too slow for one who does not wait. */
  readonly tooSlow: (reason: string) => void;
}

/** The parts. */
export interface Parts {
  readonly inbox: Inbox;
  readonly queue: SendQueue;
  readonly sender: Sender;
  readonly calls: PeerCalls;
}

/** Makes the parts of one core. */
export function makeParts(options: CoreOptions, owner: CoreOwner, host: PartsHost): Parts {
  const { settings, serializer, clock, interception } = options;
  const { limits, callTimeout } = settings;
  const { counters, log, wake } = host;
  const { receive } = interception;
  const peer = () => owner.peer();
  const report = (error: unknown) => owner.report(error);
  let order = 0;
  const nextOrder = () => order++;
  const inbox = new Inbox({
    decode: (payload, topic) => decodeMessage(serializer, topic, payload),
    receive: receive && (({ body, topic }, last) => receive({ body, topic, peer: peer() }, last)),
    onMessage: owner.onMessage,
    report,
    undecodable: (cause) => {
      counters.dropped++;
      const message =
        "Cannot take message as its body is none for the serializer, or does not fit the contract";
      report(new ProtocolError("BAD_FRAME", message, { cause }));
    },
  });
  const queue: SendQueue = new SendQueue({
    settings,
    clock,
    counters,
    budget: options.budget,
    nextOrder,
    wake,
    inFlight: host.inFlight,
    open: host.open,
    refusal: host.sendRefusal,
    dropped: (frames, bytes, policy) => owner.dropped(frames, bytes, policy),
    limitMet: (limit, value) => owner.limitMet(limit, value),
    slow: () => log.slow(queue.queued.bytes),
    caughtUp: (dropped) => log.caughtUp(dropped),
    tooSlow: host.tooSlow,
  });
  const sender = new Sender({
    serializer,
    queue,
    intercept: interception.send,
    peer,
    maxWaiting: limits.maxInFlight,
  });
  const calls = new PeerCalls({
    clock,
    serializer,
    interception,
    counters,
    callTimeout,
    maxWaiting: limits.maxInFlight,
    maxWaitingBytes: Math.max(limits.maxQueuedBytes, limits.maxMessageLength),
    machine: host.machine,
    wake,
    nextOrder,
    refusal: host.callRefusal,
    handler: (method) => owner.handler(method),
    peer,
    report,
    taken: host.taken,
    settled: host.settled,
  });
  return { inbox, queue, sender, calls };
}
