/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
import { connect } from "@vgo/vnet/browser";
const a: HTMLElement | null = document.querySelector("a");
const t = setTimeout(() => {}, 1);
console.log(a?.textContent, connect, t);
