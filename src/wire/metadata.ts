/**
 * Metadata: a few short texts by name, beside a payload.
 *
 * Owns the layout u8 name length, name, u16 value length, value, repeated. Names are printable
 * ASCII without upper case, 1 to 255 bytes. What is read has no prototype, so that a name such as
 * `__proto__` is one like any other.
 */
import type { OutBuffer } from "../base/out_buffer.ts";
import { ProtocolError } from "../base/errors.ts";
import type { Bytes } from "../base/types.ts";
import { readUint32 } from "./body.ts";
import {
  badFrame,
  fieldSize,
  readName,
  readText,
  utf8Length,
  writeChars,
  writeText,
} from "./text.ts";

/** Short texts by name, as handed to and from the application. */
export type Metadata = Readonly<Record<string, string>>;

const MAX_VALUE = 0xffff;

/**
 * The bytes of the entries, without the length in front of them; 0: there is nothing to send.
 *
 * @throws {TypeError} if a name is not allowed
 * @throws {RangeError} if a name or value is too long
 */
export function metadataSize(metadata: Metadata | undefined): number {
  let size = 0;
  if (metadata === undefined) return size;
  for (const name of Object.keys(metadata)) {
    if (!isName(name)) {
      throw new TypeError(
        `Cannot encode metadata as a name must be 1 to 255 printable ASCII characters without upper case: current value is ${
          JSON.stringify(name)
        }`,
      );
    }
    size += 3 + name.length + fieldSize(metadata[name]!, MAX_VALUE, "metadata", name);
  }
  return size;
}

/** Writes the u32 length, which is `metadataSize`, and the entries; nothing when the size is 0. */
export function writeMetadata(out: OutBuffer, metadata: Metadata | undefined, size: number): void {
  if (metadata === undefined || size === 0) return;
  out.uint32(size);
  writeEntries(out, metadata);
}

/** Writes the entries alone. */
export function writeEntries(out: OutBuffer, metadata: Metadata): void {
  for (const name of Object.keys(metadata)) {
    out.uint8(name.length);
    writeChars(out, name, name.length);
    const value = metadata[name]!;
    writeText(out, value, utf8Length(value));
  }
}

/**
 * Where the metadata block that begins at `start` ends; its entries begin at `start + 4`.
 *
 * @throws {ProtocolError} BAD_FRAME past the body's end, FRAME_TOO_LARGE over `max`
 */
export function metadataEnd(
  buffer: Bytes,
  start: number,
  end: number,
  max: number,
  frame: string,
): number {
  if (end - start < 4) throw badFrame(frame, "its metadata must end within the body");
  const size = readUint32(buffer, start);
  if (size > end - start - 4) throw badFrame(frame, "its metadata must end within the body");
  if (size > max) {
    throw new ProtocolError(
      "FRAME_TOO_LARGE",
      `Cannot decode ${frame} as its metadata must be at most ${max} bytes: current value is ${size}`,
      { limit: "maxMetadataLength" },
    );
  }
  return start + 4 + size;
}

/** Reads entries, from the first to the last byte given. @throws {ProtocolError} BAD_FRAME */
export function readEntries(buffer: Bytes, start: number, end: number, frame: string): Metadata {
  const metadata: Record<string, string> = Object.create(null);
  let at = start;
  while (at < end) {
    const nameEnd = at + 1 + buffer[at]!;
    if (nameEnd + 2 > end) throw badFrame(frame, "a metadata name must end within its block");
    const name = readName(buffer, at + 1, nameEnd, frame, "metadata name");
    if (!isName(name)) {
      throw badFrame(frame, "a metadata name must be printable ASCII without upper case");
    }
    if (name in metadata) throw badFrame(frame, "a metadata name must not come twice");
    const valueEnd = nameEnd + 2 + ((buffer[nameEnd]! << 8) | buffer[nameEnd + 1]!);
    if (valueEnd > end) throw badFrame(frame, "a metadata value must end within its block");
    metadata[name] = readText(buffer, nameEnd + 2, valueEnd, frame, "metadata value");
    at = valueEnd;
  }
  return metadata;
}

function isName(name: string): boolean {
  if (name.length === 0 || name.length > 255) return false;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x21 || unit > 0x7e || (unit >= 0x41 && unit <= 0x5a)) return false;
  }
  return true;
}
