/**
 * A second reader of vnet/1, written from PROTOCOL.md alone: it shares no code with src/wire, so a
 * mistake in one of them shows as a difference. It trusts its input.
 */

const LIMITS = "maxFrame maxMessage recvBytes maxCalls maxStreams streamBytes maxMetadata " +
  "heartbeatMs ttlMs features";
const TLVS: Readonly<Record<number, string>> = { 1: "agent", 2: "serializer", 4: "path" };

/** Layouts of section 5: what to read, in order. `?` needs META, `+` needs MORE, `*` is the rest. */
const BODIES: Readonly<Record<number, string>> = {
  1: "limits text:clientId text:authScheme bytes:auth tlvs",
  2: "limits 16:sessionId 32:secret 8:epoch text:id tlvs",
  3: "limits 16:sessionId u32:attach u64:recvSeq u64:limitBytes 32:proof text:authScheme bytes:auth tlvs",
  4: "u64:recvSeq u64:limitBytes u32:ttlMs",
  5: "u32:retryAfter 8:epoch u8:hasLast u64:last text:reason",
  8: "u64:opaque u64:recvSeq",
  9: "u64:opaque u64:recvSeq",
  10: "u64:recvSeq u64:limitBytes",
  11: "u32:retryAfter text:reason",
  12: "u8:scope u64:recvSeq text:reason",
  16: "text:topic meta? u32:total+ payload*",
  17: "u32:deadline text:method meta? u32:total+ payload*",
  18: "meta? u32:total+ payload*",
  19: "u8:bits u32:retryAfter text:message meta? u32:total+ payload*",
  21: "u32:total+ payload*",
  22: "u64:limit",
};

/** Reads one frame: its header, and the fields of its body by name. */
export function readFrame(bytes: Uint8Array<ArrayBuffer>, continues: boolean) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const flags = view.getUint8(5);
  const header = {
    length: view.getUint32(0),
    type: view.getUint8(4),
    flags,
    aux: view.getUint16(6),
    id: view.getUint32(8),
    seq: view.getUint32(12),
  };
  const body: Record<string, unknown> = {};
  let at = 16;
  const u = (size: number): number => {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + view.getUint8(at++);
    return value;
  };
  const take = (size: number) => bytes.subarray(at, at += size);
  const text = (size: number) => new TextDecoder().decode(take(size));
  const entries = (end: number) => {
    const found: [string, string][] = [];
    while (at < end) found.push([text(u(1)), text(u(2))]);
    return Object.fromEntries(found);
  };
  const layout = continues ? "payload*" : BODIES[header.type] ?? "";
  for (const step of layout.split(" ").filter((it) => it !== "")) {
    if ((step.endsWith("?") && (flags & 2) === 0) || (step.endsWith("+") && (flags & 16) === 0)) {
      continue;
    }
    const [kind = "", name = kind] = step.replace(/[?+*]$/, "").split(":");
    if (kind === "limits") {
      body.limits = Object.fromEntries(LIMITS.split(" ").map((it) => [it, u(4)]));
    } else if (kind === "text") body[name] = text(u(2));
    else if (kind === "bytes") body[name] = take(u(4));
    else if (kind === "meta") body.metadata = entries(u(4) + at);
    else if (kind === "payload") body.payload = take(bytes.length - at);
    else if (kind.startsWith("u")) body[name] = u(Number(kind.slice(1)) / 8);
    else if (kind !== "tlvs") body[name] = take(Number(kind));
    while (kind === "tlvs" && at < bytes.length) {
      const [type, size] = [u(2) & 0x7fff, u(2)];
      if (type === 3) body.instance = take(size);
      else if (type === 5) body.metadata = entries(at + size);
      else if (TLVS[type] === undefined) take(size);
      else body[TLVS[type]] = text(size);
    }
  }
  return { header, body, rest: bytes.length - at };
}
