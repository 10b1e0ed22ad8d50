/**
 * An HTTP response as the last thing on a byte connection.
 *
 * Owns how its body is framed. Knows no time: whoever has none left closes the connection and aborts.
 *
 * 1. A body of up to `HELD` bytes is held until all of it is there, and goes out with its length; of a
 *    longer one no more than that and one piece are held.
 * 2. One that fails midway shows that it is not whole: it lacks its last chunk.
 * 3. However it ends, the application is told by the end of its stream.
 */
import type { ByteTransport } from "../base/types.ts";
import { writeAll } from "./opening.ts";
import { type BodyEnd, refusalHead } from "./server_handshake.ts";

/** What of a request decides how it is answered. */
export interface Asked {
  readonly method: string;
  /** As in "HTTP/1.1". */
  readonly version: string;
}

/** So much of a body is held to find out how long it is. */
const HELD = 65_536;
/** These have no body, and are complete without it (RFC 9110, section 6.4.1). */
const BODILESS: readonly number[] = [204, 205, 304];
const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  426: "Upgrade Required",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};
const encoder = new TextEncoder();
const LAST_CHUNK = encoder.encode("0\r\n\r\n");
const LINE_END = encoder.encode("\r\n");

/** A response whose body has begun to come. */
export class Answer {
  readonly #response: Response;
  readonly #asked: Asked;
  readonly #failed: (error: unknown) => void;
  readonly #held: Uint8Array[] = [];
  #reader: ReadableStreamDefaultReader<unknown> | undefined;

  /** `failed` is told what is wrong with the response, at most once. */
  constructor(response: Response, asked: Asked, failed: (error: unknown) => void) {
    this.#response = response;
    this.#asked = asked;
    this.#failed = failed;
  }

  /** Reads as much of the body as is held; tells whether it can be written. `signal`: it cannot any more. */
  async begin(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#begin(signal);
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }
  /** Writes all of it. @throws {Error} what the connection or the application's stream fails with */
  async writeTo(transport: ByteTransport): Promise<void> {
    const { status, statusText, headers } = this.#response;
    const reason = statusText === "" ? REASONS[status] ?? "" : statusText;
    const end = this.#end();
    const reader = this.#reader;
    try {
      await writeAll(transport, refusalHead(status, reason, end, [...headers]));
      for (let piece = this.#held.shift(); piece !== undefined;) {
        await this.#write(transport, piece, end);
        piece = this.#held.shift() ?? await this.#nextOrFail();
      }
      if (end === "chunk") await writeAll(transport, LAST_CHUNK);
    } catch (error) {
      if (reader !== undefined) drop(reader, error);
      throw error;
    }
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { body, status } = this.#response;
    if (!(status >= 200)) {
      throw new TypeError(`Cannot answer as the status must be 200 or more: it is ${status}`);
    }
    if (body === null) return;
    if (this.#asked.method === "HEAD" || BODILESS.includes(status)) return await body.cancel();
    const reader: ReadableStreamDefaultReader<unknown> = body.getReader();
    this.#reader = reader;
    signal.addEventListener("abort", () => drop(reader, signal.reason), { once: true });
    for (let length = 0; length <= HELD;) {
      const piece = await this.#next();
      if (piece === undefined) return;
      length += piece.length;
      this.#held.push(piece);
    }
  }

  /** Only what is whole has a length. What has no body says nothing of one, but that there is none. */
  #end(): BodyEnd {
    const { status } = this.#response;
    if (this.#reader !== undefined) return this.#asked.version === "HTTP/1.1" ? "chunk" : "close";
    if (this.#asked.method === "HEAD" || BODILESS.includes(status)) return "close";
    return this.#held.reduce((sum, { length }) => sum + length, 0);
  }

  async #write(transport: ByteTransport, piece: Uint8Array, end: BodyEnd): Promise<void> {
    // An empty chunk would be the last one.
    if (piece.length === 0) return;
    if (end === "chunk") {
      await writeAll(transport, encoder.encode(`${piece.length.toString(16)}\r\n`));
    }
    await writeAll(transport, piece);
    if (end === "chunk") await writeAll(transport, LINE_END);
  }

  async #nextOrFail(): Promise<Uint8Array | undefined> {
    try {
      return await this.#next();
    } catch (error) {
      this.#failed(error);
      throw error;
    }
  }

  /** `undefined`: there is no more. */
  async #next(): Promise<Uint8Array | undefined> {
    const result = await this.#reader?.read();
    if (result === undefined || result.done) {
      this.#reader = undefined;
      return undefined;
    }
    if (result.value instanceof Uint8Array) return result.value;
    throw new TypeError("Cannot answer as the body of the response must be bytes");
  }
}

/** Tells the application that nobody takes any more. */
function drop(reader: ReadableStreamDefaultReader<unknown>, reason: unknown): void {
  // What its stream does about that is its own matter.
  reader.cancel(reason).catch(() => {});
}
