/**
 * What the two ends say of themselves when a session begins.
 */
import type { Bytes, Runtime } from "../base/types.ts";
import type { Hello, Welcome, WireLimits } from "../wire/handshake.ts";

/** Our program, for the other end's logs. */
const AGENT = "vnet";
const encoder = new TextEncoder();

/** What a client is, as its HELLO tells it. */
export interface Introduction {
  readonly limits: WireLimits;
  readonly clientId: string;
  readonly auth: string | Uint8Array;
  readonly serializer: string;
  readonly instance: Bytes;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Makes a HELLO. */
export function helloOf({ auth, ...rest }: Introduction): Hello {
  const credential = typeof auth === "string" ? encoder.encode(auth) : new Uint8Array(auth);
  return { ...rest, authScheme: "", auth: credential, agent: AGENT, path: "" };
}

/** Makes a WELCOME. Nothing can be resumed yet, so there is nothing that its secret would prove. */
export function welcomeOf(
  runtime: Runtime,
  welcome: Pick<Welcome, "limits" | "id" | "epoch" | "serializer">,
): Welcome {
  return {
    ...welcome,
    sessionId: randomBytes(runtime, 16),
    secret: new Uint8Array(32),
    agent: AGENT,
  };
}

/** Bytes that nobody can foretell, or that a test's seed decides. */
export function randomBytes(runtime: Runtime, length: number): Bytes {
  return Uint8Array.from({ length }, () => Math.floor(runtime.random() * 256));
}
