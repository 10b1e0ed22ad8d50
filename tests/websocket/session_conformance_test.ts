/** What sessions do over TCP and TLS they do over WebSocket, with the same figures: one suite for all. */
import type { Addr } from "@vgo/vnet";
import { sessionConformance } from "../net/session_conformance.ts";
import { CLIENT, SERVER } from "../tls/_support.ts";

const secure = { serving: { tls: SERVER }, connecting: { tls: CLIENT } };
/** Both ends send one over a byte transport. */
const preface = 8;

sessionConformance({ name: "TCP", address: "tcp://127.0.0.1:0", preface });
sessionConformance({ name: "TLS", address: "tls://127.0.0.1:0", preface, brief: true, ...secure });
sessionConformance({ name: "WebSocket", address: "ws://127.0.0.1:0/chat", preface: 0 });
sessionConformance({
  name: "WebSocket and TLS",
  address: "wss://127.0.0.1:0/chat",
  preface: 0,
  brief: true,
  ...secure,
});
sessionConformance({
  name: "TCP on a port for WebSocket",
  address: "ws://127.0.0.1:0/chat",
  dial: ({ host }: Addr) => `tcp://${host}`,
  preface,
  brief: true,
});
