/**
 * The one place where the types of an API meet values that came over the network.
 *
 * A contract says what arrives; the serializer that both ends named in the handshake made the value.
 * What a contract only claims (`type<T>()`, or no contract at all) is the application's word, and
 * this function is where it is taken.
 */
export function taken<T>(value: unknown): T {
  return value as T;
}
