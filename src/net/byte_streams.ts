/**
 * A byte connection as the platform's streams, made when they are first asked for.
 *
 * 1. A stream that was left, cancelled or timed out takes nothing along: the connection lives, and the
 *    next `readable` goes on where it stopped.
 */
import type { Bytes } from "../base/types.ts";
import type { Conn } from "./conn.ts";
import type { Reader } from "./reader.ts";

/** The two streams. */
export class ByteStreams {
  readonly #conn: Pick<Conn, "write" | "closeWrite" | "abort">;
  readonly #reader: Pick<Reader, "arrival" | "takeAll">;
  #readable: ReadableStream<Bytes> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;

  constructor(
    conn: Pick<Conn, "write" | "closeWrite" | "abort">,
    reader: Pick<Reader, "arrival" | "takeAll">,
  ) {
    this.#conn = conn;
    this.#reader = reader;
  }

  get readable(): ReadableStream<Bytes> {
    return this.#readable ??= this.#makeReadable();
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= this.#makeWritable();
  }

  #makeReadable(): ReadableStream<Bytes> {
    const cancelled = new AbortController();
    const pull = async (controller: ReadableStreamDefaultController<Bytes>) => {
      try {
        let bytes: Bytes | undefined;
        // Somebody else may take what has arrived; and what was cancelled meanwhile must take nothing.
        do {
          const arrived = await this.#reader.arrival(cancelled);
          if (!arrived) return controller.close();
          cancelled.signal.throwIfAborted();
          bytes = this.#reader.takeAll();
        } while (bytes.length === 0);
        controller.enqueue(bytes);
      } catch (error) {
        this.#readable = undefined;
        throw error;
      }
    };
    const cancel = () => {
      this.#readable = undefined;
      cancelled.abort();
    };
    // Nothing is read ahead: what the stream held would be lost to whoever reads on without it.
    return new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
  }

  #makeWritable(): WritableStream<Uint8Array> {
    return new WritableStream({
      write: async (chunk) => {
        await this.#conn.write(chunk);
      },
      close: () => this.#conn.closeWrite(),
      abort: (reason) => this.#conn.abort(reason),
    });
  }
}
