/**
 * What a case of the protocol table is. Numbers are those of the Autobahn test suite's public case
 * descriptions; "x" marks what that suite has not.
 */
import type { FrameLimits } from "../../src/websocket/frame_reader.ts";
import { close, type Frame } from "./_frames.ts";

/** One case: what an echoing end is sent, and what it must do. */
export interface ProtocolCase {
  readonly id: string;
  readonly name: string;
  /** Frames, or bytes that are none. */
  readonly send: readonly (Frame | Uint8Array)[];
  /** The frames that it must write, in this order, without a last close frame. */
  readonly get: readonly Frame[];
  /** The close code that it must end with. Without it the connection must stay open. */
  readonly end?: number;
  /** Whether the end is a clean one. @default {false} */
  readonly clean?: boolean;
  /** The byte of a frame's payload with which it must have ended, even if nothing else came. */
  readonly failsAt?: { readonly frame: number; readonly byte: number };
  readonly limits?: Partial<FrameLimits>;
  /** Set where both ends have agreed on compression. */
  readonly windowBits?: number;
  /** Where the payload of frames is compressed the codec's choice: then messages are compared. */
  readonly messages?: readonly (string | Uint8Array)[];
  /** Only this end sends what the case is about. */
  readonly role?: "server" | "client";
}

/** A case whose frames come back as they are. */
export function echoed(id: string, name: string, send: readonly Frame[]): ProtocolCase {
  return { id, name, send, get: send };
}

/** A case that ends with 1002, after `get`. */
export function refused(
  id: string,
  name: string,
  send: readonly (Frame | Uint8Array)[],
  get: readonly Frame[] = [],
): ProtocolCase {
  return { id, name, send, get, end: 1002 };
}

/** A case that is closed by the other end, and answered with the same close frame. */
export function closed(
  id: string,
  name: string,
  send: readonly Frame[],
  end: number,
  get: readonly Frame[] = [],
): ProtocolCase {
  return { id, name, send, get, end, clean: true };
}

/** The close frame that most cases end with. */
export const BYE: Frame = close(1000);
