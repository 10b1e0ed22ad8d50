/**
 * Calls over messages, as they are written by hand: four bytes of id before the body, and a map.
 */

/** The calls of one connection whose answers have not come. */
export class Waiting {
  readonly #calls = new Map<number, (body: Uint8Array<ArrayBuffer>) => void>();
  #nextId = 0;

  /** Sends a call; resolves with the body of its answer. */
  call(
    body: Uint8Array,
    send: (message: Uint8Array<ArrayBuffer>) => void,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const id = this.#nextId = (this.#nextId + 1) >>> 0;
    const message = new Uint8Array(4 + body.length);
    message[0] = id >>> 24;
    message[1] = id >>> 16;
    message[2] = id >>> 8;
    message[3] = id;
    message.set(body, 4);
    return new Promise((resolve) => {
      this.#calls.set(id, resolve);
      send(message);
    });
  }

  /** An answer has come: the id of its call, and a body. */
  answered(message: Uint8Array<ArrayBuffer>): void {
    const byte = (at: number) => message[at] ?? 0;
    const id = (byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3)) >>> 0;
    this.#calls.get(id)?.(message.subarray(4));
    this.#calls.delete(id);
  }
}
