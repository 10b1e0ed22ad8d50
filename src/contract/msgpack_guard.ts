/**
 * Looks through MessagePack before anybody makes values of it, and through values before anybody
 * makes MessagePack of them.
 *
 * Owns what a decoder that believes what it reads must not be given: lengths that nothing stands
 * behind, depth, text that is none, extensions that nobody knows. Makes no values.
 *
 * 1. Time and memory are bounded by the bytes that are there, never by what they say.
 * 2. What it lets pass is exactly one value, and no byte more.
 */

/** Arrays and maps within each other, but for an empty one in the last. */
export const MAX_DEPTH = 128;

/** The extension type of instants, which the format itself defines. */
const TIMESTAMP = -1;
const fatal = new TextDecoder("utf-8", { fatal: true });

/** @throws {SyntaxError} when it is not one whole value of a form that is taken */
export function checkMessagePack(bytes: Uint8Array): void {
  new Scan(bytes).value();
}

/** @throws {TypeError} when a value that is no object would be lost or changed in silence */
export function checkHeld(value: unknown): void {
  switch (typeof value) {
    case "bigint":
      if (BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value) return;
      throw unheld("a bigint must fit into 64 bits");
    case "string":
      if (value.isWellFormed()) return;
      throw unheld("a text must have no half of a surrogate pair");
    case "function":
    case "symbol":
      throw unheld(`it cannot hold a ${typeof value}`);
  }
}

/** As `checkHeld`, of an object and of what is in it and no object itself. */
export function checkHeldObject(object: object): void {
  if (ArrayBuffer.isView(object)) return;
  if (Array.isArray(object)) {
    for (const item of object) checkHeld(item);
    return;
  }
  if (object instanceof Map) throw unheld("it cannot hold a Map");
  if (object instanceof Set) throw unheld("it cannot hold a Set");
  if (object instanceof ArrayBuffer) {
    throw unheld("it cannot hold an ArrayBuffer, but a Uint8Array");
  }
  for (const [key, value] of Object.entries(object)) {
    checkHeld(key);
    checkHeld(value);
  }
}

/** The error of a value that there is no MessagePack for. */
export function unheld(why: string, cause?: unknown): TypeError {
  const message = `Cannot serialize value as MessagePack as ${why}`;
  return new TypeError(message, cause === undefined ? {} : { cause });
}

class Scan {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  /** Values that must still come, each of a byte at least. */
  #due = 1;
  /** Of these, per array or map that has begun. */
  readonly #open: number[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  value(): void {
    while (this.#due > 0) {
      const head = this.#uint(1);
      this.#due--;
      const { length } = this.#open;
      const open = this.#open[length - 1];
      if (open !== undefined) this.#open[length - 1] = open - 1;
      this.#pass(head);
      while (this.#open.at(-1) === 0) this.#open.pop();
    }
    const left = this.#bytes.length - this.#at;
    if (left > 0) throw bad(`it must end after one value: ${left} bytes follow`);
  }

  #pass(head: number): void {
    if (head < 0x80 || head >= 0xe0) return;
    if (head < 0x90) return this.#begin(2 * (head & 0x0f));
    if (head < 0xa0) return this.#begin(head & 0x0f);
    if (head < 0xc0) return this.#text(head & 0x1f);
    switch (head) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#skip(this.#uint(1 << (head - 0xc4)));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#uint(1 << (head - 0xc7)));
      case 0xca:
        return this.#skip(4);
      case 0xcb:
        return this.#skip(8);
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.#skip(1 << (head - 0xcc));
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.#skip(1 << (head - 0xd0));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (head - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#uint(1 << (head - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#begin(this.#uint(2 << (head - 0xdc)));
      case 0xde:
      case 0xdf:
        return this.#begin(2 * this.#uint(2 << (head - 0xde)));
    }
    throw bad("no value begins with 0xc1");
  }

  #begin(count: number): void {
    if (count === 0) return;
    this.#due += count;
    if (this.#due > this.#bytes.length - this.#at) throw truncated();
    if (this.#open.push(count) > MAX_DEPTH) throw bad(`it must be at most ${MAX_DEPTH} deep`);
  }

  #text(length: number): void {
    const start = this.#at;
    this.#skip(length);
    for (let at = start; at < this.#at; at++) {
      const byte = this.#bytes[at];
      if (byte === undefined || byte < 0x80) continue;
      try {
        fatal.decode(this.#bytes.subarray(start, this.#at));
        return;
      } catch (cause) {
        throw bad("its texts must be UTF-8", cause);
      }
    }
  }

  #extension(length: number): void {
    const type = this.#uint(1) << 24 >> 24;
    this.#skip(length);
    if (type === TIMESTAMP && (length === 4 || length === 8 || length === 12)) return;
    throw bad(
      `there must be no extension but instants: current value is ${type} of ${length} bytes`,
    );
  }

  #uint(width: number): number {
    const at = this.#at;
    this.#skip(width);
    if (width === 1) return this.#view.getUint8(at);
    return width === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.#at) throw truncated();
    this.#at += length;
  }
}

function truncated(): SyntaxError {
  return bad("it must be whole: bytes are missing");
}

function bad(why: string, cause?: unknown): SyntaxError {
  const message = `Cannot read MessagePack as ${why}`;
  return new SyntaxError(message, cause === undefined ? {} : { cause });
}
