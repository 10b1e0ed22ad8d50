/**
 * Trace context as metadata of a call: how propagators write into it and read from it.
 *
 * Owns the rule that nothing a propagator writes may make a call fail: what cannot travel is left out.
 */
import type { TextMapGetter, TextMapSetter } from "@opentelemetry/api";

/** What propagators write into. */
export type Carrier = Record<string, string>;

/** Twice what W3C Baggage asks for at least; a server takes 16 KiB of metadata by default. */
const MAX_VALUE = 16_384;
const NAME = /^[!-~]{1,255}$/;

/** Writes one name; names of metadata are lower case, whatever the propagator calls them. */
export const setter: TextMapSetter<Carrier> = {
  set(carrier, name, value) {
    if (NAME.test(name) && value.length <= MAX_VALUE) carrier[name.toLowerCase()] = value;
  },
};

/** Reads what the other end sent, which may be anything. */
export const getter: TextMapGetter<Readonly<Carrier>> = {
  keys: (carrier) => Object.keys(carrier),
  get(carrier, name) {
    const key = name.toLowerCase();
    return Object.hasOwn(carrier, key) ? carrier[key] : undefined;
  },
};
