/**
 * A link: one connection that a session runs on, whatever carries it.
 *
 * Owns the reading and the writing of one transport, and its end. Knows nothing of frames: a sink
 * takes bytes and gives output.
 *
 * 1. One read is outstanding at a time, into memory of which nobody else has a view.
 * 2. `ended` is told once: when reading ends or a write fails, and not after our own `abort`.
 * 3. While the sink holds reading up nothing is read, so that the transport slows the other end down.
 * 4. After `finish` what arrives is given to the sink until the other end is through as well: to close
 *    with unread input would reset the connection and lose what we sent last.
 * 5. A message that is too long, empty, text, or ends inside of a frame breaks the protocol. The link can
 *    still be used to say so.
 */
import type { Bytes, ByteTransport, MessageTransport, Transport } from "../base/types.ts";
import { Addr } from "../base/addr.ts";
import { ByteQueue } from "../base/byte_queue.ts";
import { ProtocolError } from "../base/errors.ts";
import { OutBuffer } from "../base/out_buffer.ts";
import { cutTransport } from "./cut.ts";
import { type EndedRead, ReadTurn } from "./read_turn.ts";
import { BaseWriteLoop } from "./write_loop.ts";

const reads = new ReadTurn();

/** What a link drives. */
export interface LinkSink {
  /** Bytes that the next frame needs in one piece, as far as is known. */
  readonly wanted: number;
  /** Takes `buffer[start, end)`; returns where the first byte is that was not consumed. */
  received(buffer: Bytes, start: number, end: number): number;
  /** Looks at what `received` will need. Changes nothing; what it gives means nothing. */
  look(): number;
  /** Whether it has given away a view of what it received last. */
  readonly shared: boolean;
  /** What to wait for before the next read; it resolves at the end as well. */
  readonly held: Promise<void> | undefined;
  /** What to write next. */
  nextOutput(): OutBuffer | undefined;
  /** That many bytes were written. */
  wrote(bytes: number): void;
  /** What came can be no frames, whatever is in it. */
  violated(error: ProtocolError): void;
  /** The link has ended, with an error or cleanly; `partial`: in the middle of a frame. */
  ended(error: unknown, partial: boolean): void;
}

/** A message transport that was made for sessions: it tells of messages that are on their way as well. */
export interface SessionTransport extends MessageTransport {
  /** When bytes of any kind came last, by the system's clock. */
  readonly readAt: number;
  /** When bytes of any kind were written last. */
  readonly wroteAt: number;
  /** How long a message may be, in bytes, from now on. A longer one ends the transport. */
  maxMessageLength: number;
}

/** One connection. */
export interface Link {
  /** Address of this end. */
  readonly localAddr: Addr;
  /** Address of the other end. */
  readonly remoteAddr: Addr;
  /** Whether bytes flow, and not whole messages. */
  readonly bytes: boolean;
  /** Bytes handed to the pending write and not yet written. */
  readonly inFlight: number;
  /** When bytes came last that the sink may not have yet; `-Infinity` where it gets all at once. */
  readonly readAt: number;
  /** When a part was written last of what the sink may not know yet to be written; as above. */
  readonly wroteAt: number;
  /** How long a message may be, in bytes, from now on; where bytes flow it means nothing. */
  maxMessageLength: number;
  /** Begins to read. */
  start(sink: LinkSink): void;
  /** Whether nothing is being written, and nobody has said that there is output. */
  readonly free: boolean;
  /** Keeps all else from being written until `write`, which has to follow in this turn. Only while `free`. */
  hold(): void;
  /** Writes this at once; where messages flow, as one. Only after `hold`. */
  write(bytes: Bytes): void;
  /** Says that there is output. `alone`: nothing will be added to it in this turn. */
  wake(alone?: boolean): void;
  /** Writes what there is, ends this direction, waits for the other end to end its own, closes. */
  finish(): Promise<void>;
  /** Closes now. */
  abort(): void;
}

/** Makes a link of what a dial or a listener gave. */
export function linkOf(transport: Transport): Link {
  return "read" in transport ? new ByteLink(transport) : new MessageLink(transport);
}

/** A link is its own write loop: one object of many that a broadcast would have to touch in vain. */
abstract class BaseLink extends BaseWriteLoop implements Link {
  abstract readonly bytes: boolean;
  abstract readonly readAt: number;
  abstract readonly wroteAt: number;
  abstract maxMessageLength: number;
  readonly #transport: Transport;
  #sink: LinkSink | undefined;
  #closed = false;
  #ended = false;
  /** Until reading has ended. */
  #reading = true;
  #readEnd: (() => void) | undefined;
  #localAddr: Addr | undefined;
  #remoteAddr: Addr | undefined;

  constructor(transport: Transport) {
    super();
    this.#transport = transport;
  }

  get localAddr(): Addr {
    return this.#localAddr ??= Addr.of(this.#transport.localAddr);
  }

  get remoteAddr(): Addr {
    return this.#remoteAddr ??= Addr.of(this.#transport.remoteAddr);
  }

  start(sink: LinkSink): void {
    this.#sink = sink;
    this.read(sink);
  }

  async finish(): Promise<void> {
    await this.idle();
    if (this.#closed) return;
    try {
      if (await this.halfClose() && this.#reading) {
        await new Promise<void>((resolve) => this.#readEnd = resolve);
      }
    } catch {
      // The other end was faster: the connection is gone, and that is all we wanted.
    }
    this.abort();
  }

  abort(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stop();
    cutTransport(this.#transport);
  }

  // ── the write loop ──

  protected nextOutput(): OutBuffer | undefined {
    return this.#sink?.nextOutput();
  }

  protected wrote(bytes: number): void {
    this.#sink?.wrote(bytes);
  }

  protected writeFailed(error: unknown): void {
    this.#tell(error, false);
  }

  /** Begins to read, up to the end, and tells that by `readEnded`. */
  protected abstract read(sink: LinkSink): void;
  /** Ends this direction only; gives `false` where that is not possible. */
  protected abstract halfClose(): Promise<boolean>;

  protected get sink(): LinkSink | undefined {
    return this.#sink;
  }

  protected get closed(): boolean {
    return this.#closed;
  }

  /** Nothing more will be read. `partial`: it ended in the middle of a frame. */
  protected readEnded(error: unknown, partial: boolean): void {
    this.#reading = false;
    this.#tell(error, partial);
    this.#readEnd?.();
  }

  #tell(error: unknown, partial: boolean): void {
    if (this.#closed || this.#ended) return;
    // What is still to be written is pulled all the same: the end of one direction may come before a farewell.
    this.#ended = true;
    this.#sink?.ended(error, partial);
  }
}

class ByteLink extends BaseLink implements EndedRead {
  readonly bytes = true;
  readonly #transport: ByteTransport;
  readonly #queue = new ByteQueue();
  /** The slab of which somebody has a view. */
  #shared: Bytes | undefined;

  constructor(transport: ByteTransport) {
    super(transport);
    this.#transport = transport;
  }

  get readAt(): number {
    return -Infinity;
  }

  get wroteAt(): number {
    return -Infinity;
  }

  get maxMessageLength(): number {
    return Infinity;
  }

  set maxMessageLength(_length: number) {
    // There are no messages.
  }

  protected async halfClose(): Promise<boolean> {
    if (this.#transport.closeWrite === undefined) return false;
    await this.#transport.closeWrite();
    return true;
  }

  protected transmit(bytes: Uint8Array): Promise<number> {
    return this.#transport.write(bytes);
  }

  /** An async loop would keep, and touch, more objects for each read of a thousand links. */
  protected read(sink: LinkSink): void {
    reads.join();
    this.#next(sink);
  }

  protected override readEnded(error: unknown, partial: boolean): void {
    reads.leave();
    super.readEnded(error, partial);
  }

  #next(sink: LinkSink): void {
    try {
      this.#transport.read(this.#queue.space(sink.wanted)).then(this.#took, this.#failed);
    } catch (error) {
      this.#failed(error);
    }
  }

  readonly #took = (count: number | null): void => {
    if (count === null || this.closed) return this.readEnded(undefined, this.#queue.length > 0);
    try {
      this.#queue.fill(count);
    } catch (error) {
      return this.#failed(error);
    }
    reads.add(this);
  };

  look(): number {
    const { buffer, start } = this.#queue;
    return (buffer[start] ?? 0) ^ (this.sink?.look() ?? 0);
  }

  handle(): void {
    const { sink } = this;
    if (sink === undefined || this.closed) return this.readEnded(undefined, false);
    const queue = this.#queue;
    try {
      this.beginTurn();
      queue.start = sink.received(queue.buffer, queue.start, queue.end);
      if (sink.shared) this.#shared = queue.buffer;
      // A large stream would else make garbage as fast as it is received.
      if (this.#shared !== queue.buffer) queue.rewind();
    } catch (error) {
      return this.#failed(error);
    }
    const { held } = sink;
    if (held === undefined) return this.#next(sink);
    held.then(() => this.closed ? this.#failed(undefined) : this.#next(sink));
  }

  readonly #failed = (error: unknown): void => this.readEnded(error, false);
}

class MessageLink extends BaseLink {
  readonly bytes = false;
  readonly #transport: MessageTransport & Partial<SessionTransport>;
  #maxMessageLength = Infinity;

  constructor(transport: MessageTransport) {
    super(transport);
    this.#transport = transport;
  }

  /** It has a farewell of its own, and takes its time for it. */
  protected async halfClose(): Promise<boolean> {
    await this.#transport.close();
    return true;
  }

  get readAt(): number {
    return this.#transport.readAt ?? -Infinity;
  }

  get wroteAt(): number {
    return this.#transport.wroteAt ?? -Infinity;
  }

  get maxMessageLength(): number {
    return this.#maxMessageLength;
  }

  set maxMessageLength(length: number) {
    this.#maxMessageLength = length;
    const transport = this.#transport;
    if (transport.maxMessageLength !== undefined) transport.maxMessageLength = length;
  }

  /** A message holds whole frames: one output, one message. */
  protected override nextOutput(): OutBuffer | undefined {
    const frames = super.nextOutput();
    if (frames === undefined) return undefined;
    const message = new OutBuffer();
    message.bytes(frames.toBytes());
    frames.reset();
    return message;
  }

  protected async transmit(message: Uint8Array): Promise<number> {
    await this.#transport.send(message);
    return message.length;
  }

  /** Never rejects. */
  protected async read(sink: LinkSink): Promise<void> {
    try {
      for await (const message of this.#transport) {
        if (this.closed) break;
        this.#take(message, sink);
        if (sink.held !== undefined) await sink.held;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) return this.readEnded(error, false);
      // The transport has rules of its own, and the other end broke them.
      sink.violated(error);
    }
    this.readEnded(undefined, false);
  }

  #take(message: Uint8Array | string, sink: LinkSink): void {
    if (typeof message === "string") {
      return sink.violated(
        new ProtocolError("PROTOCOL", "Cannot take message as it must be binary: it is text"),
      );
    }
    const { length } = message;
    if (length > this.#maxMessageLength) {
      return sink.violated(tooLong(length, this.#maxMessageLength));
    }
    const bytes = ownBytes(message);
    if (length === 0 || sink.received(bytes, 0, length) < length) {
      sink.violated(
        new ProtocolError("BAD_FRAME", "Cannot take message as it must hold whole frames"),
      );
    }
  }
}

function tooLong(length: number, most: number): ProtocolError {
  return new ProtocolError(
    "FRAME_TOO_LARGE",
    `Cannot take message as it must have at most ${most} bytes: current value is ${length}`,
  );
}

function ownBytes(message: Uint8Array): Bytes {
  const { buffer, byteOffset, byteLength } = message;
  return buffer instanceof ArrayBuffer
    ? new Uint8Array(buffer, byteOffset, byteLength)
    : new Uint8Array(message);
}
