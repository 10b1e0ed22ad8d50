/**
 * The errors that a broken connection shows, with the names and codes that the platform uses.
 *
 * Owns their texts. What reads from a virtual connection must not be able to tell it from a real one.
 */

/** An error of the operating system, as the platform reports it. */
class SocketError extends Error {
  override readonly name: string;
  readonly code: string | undefined;

  constructor(name: string, code: string | undefined, message: string) {
    super(message);
    this.name = name;
    this.code = code;
  }
}

/** The connection was reset. */
export function connectionReset(): Error {
  return new SocketError("ConnectionReset", "ECONNRESET", "Connection reset by peer");
}

/** Nobody can receive what is written. */
export function brokenPipe(): Error {
  return new SocketError("BrokenPipe", "EPIPE", "Broken pipe");
}

/** The wait was ended by this end's own `close()`. */
export function interrupted(): Error {
  return new SocketError("Interrupted", "EINTR", "Operation canceled");
}

/** This end was closed before. */
export function badResource(): Error {
  return new SocketError("BadResource", undefined, "Connection has been closed");
}
