/**
 * What flows in an open session: messages and calls, both ways.
 *
 * Owns the order in which they are written, and the credit for messages. Each direction, and the calls, are
 * made when they are first needed: most sessions are quiet.
 *
 * 1. Messages leave the outbox only when they are written into a buffer that is about to be sent; one for
 *    many passes it only when it is empty.
 * 2. Messages and calls go in the order in which they were accepted; what cannot go lets others pass.
 */
import type { OutBuffer } from "../base/out_buffer.ts";
import type { Bytes } from "../base/types.ts";
import { sameLimits, type WireLimits } from "../wire/handshake.ts";
import { CallMachine } from "./call_machine.ts";
import type { Cast } from "./cast.ts";
import type { CreditPorts } from "./control_frames.ts";
import type { MachineHost, MachineSettings } from "./events.ts";
import { MessageReader } from "./message_reader.ts";
import { MessageWriter, WRITE_SIZE } from "./message_writer.ts";
import { SendCount } from "./numbering.ts";

/** The flow of one session. */
export class Exchange implements CreditPorts {
  readonly #settings: MachineSettings;
  readonly #host: MachineHost;
  /** What the other end accepts, as far as is known. */
  #remote: WireLimits;
  #incoming: MessageReader | undefined;
  #outgoing: MessageWriter | undefined;
  #calls: CallMachine | undefined;
  /** Numbers what is sent, once anything is. */
  #count: SendCount | undefined;

  constructor(settings: MachineSettings, host: MachineHost) {
    this.#settings = settings;
    this.#host = host;
    this.#remote = settings.limits;
  }

  /** The session is open: the other end accepts so much. */
  begin(remote: WireLimits): void {
    // Most often both have the defaults, and one object for all of them will do.
    if (!sameLimits(remote, this.#remote)) this.#remote = remote;
  }

  /** The calls. */
  get calls(): CallMachine {
    return this.#calls ??= this.#makeCalls();
  }

  /** Calls of the other end whose answers were not written. */
  get answering(): number {
    return this.#calls?.callee.size ?? 0;
  }

  /** Whether `write` may write something. */
  get hasOutput(): boolean {
    return this.#host.messages > 0 || (this.#calls?.hasOutput ?? this.#host.requests > 0);
  }

  /** What takes messages. */
  get incoming(): MessageReader {
    return this.#incoming ??= new MessageReader(this.#host, this.#settings.limits);
  }

  /** Writes what may go. */
  write(out: OutBuffer, now: number): void {
    const host = this.#host;
    if (host.messages > 0) this.#outgoing ??= this.#makeWriter();
    if (host.requests > 0) this.#calls ??= this.#makeCalls();
    const messages = this.#outgoing;
    if (this.#calls === undefined) {
      messages?.write(out, WRITE_SIZE);
      return;
    }
    this.#calls.fill(out, now, this.#outgoing ??= this.#makeWriter());
  }

  /** The frame of a message for many, past the outbox; `undefined`: it has to wait there. */
  cast(cast: Cast): Bytes | undefined {
    this.#outgoing ??= this.#makeWriter();
    return this.#outgoing.cast(cast);
  }

  /**
   * The session is over: the other end took no more than so many of our frames. Gives how many calls, of
   * both ends, that cuts.
   */
  end(accepted: number): number {
    const open = this.#calls?.open ?? 0;
    this.#calls?.end(accepted);
    this.#outgoing?.end();
    this.#incoming?.end();
    return open;
  }

  // ── CreditPorts ──

  takeGrant(): number {
    return this.#incoming?.advertise() ?? this.#settings.limits.recvBytes;
  }

  grant(limitBytes: number): void {
    // Before the first message there is most often nothing new to hear.
    if (limitBytes > this.#remote.recvBytes) this.#outgoing ??= this.#makeWriter();
    this.#outgoing?.grant(limitBytes);
  }

  accepted(count: number): void {
    this.#outgoing?.accepted(count);
  }

  // ── private ──

  #makeWriter(): MessageWriter {
    const count = this.#count ??= new SendCount();
    return new MessageWriter(this.#host, this.#remote, count);
  }

  #makeCalls(): CallMachine {
    const { side, limits: local } = this.#settings;
    const { lane } = this.#host;
    const count = this.#count ??= new SendCount();
    return new CallMachine({ side, local, remote: this.#remote, lane }, count, this.#host);
  }
}
