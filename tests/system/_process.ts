/**
 * Child processes for tests, and tests that need permissions.
 *
 * 1. A child that outlives its test is killed by it (`await using`), and one that says nothing for
 *    too long is killed by the wait for it.
 */

const ROOT = new URL("../../", import.meta.url);
/** How long a child may take to say or to do what is expected of it, in ms. */
const PATIENCE = 60_000;

/** A program that runs, and what it has said so far. */
export class Child implements AsyncDisposable {
  /** Each line of both outputs. */
  readonly lines: string[] = [];
  /** Resolves with the exit code when it has ended, and all that it said is in `lines`. */
  readonly ended: Promise<number>;
  readonly #process: Deno.ChildProcess;
  readonly #wakes = new Set<() => void>();
  #over = false;

  /** `args`: what follows on the name of the program. It runs in the root of the project. */
  constructor(args: readonly string[], program: string = Deno.execPath()) {
    this.#process = new Deno.Command(program, {
      args: [...args],
      cwd: ROOT,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.ended = this.#follow();
  }

  /** What it has said so far, as one text. */
  get text(): string {
    return this.lines.join("\n");
  }

  /** Resolves with the first line, from number `from` on, in which this is found. */
  async says(words: string | RegExp, from = 0): Promise<string> {
    const pattern = typeof words === "string" ? words : words.source;
    return await this.#patiently(`to say ${pattern}`, async () => {
      for (let at = from;; at++) {
        while (at >= this.lines.length) {
          if (this.#over) throw new Error(`It ended without ${pattern}. It said:\n${this.text}`);
          await new Promise<void>((resolve) => this.#wakes.add(resolve));
        }
        const line = this.lines[at] ?? "";
        if (typeof words === "string" ? line.includes(words) : words.test(line)) return line;
      }
    });
  }

  /** Waits for its end by itself; resolves with the exit code. */
  async finish(): Promise<number> {
    return await this.#patiently("to end", () => this.ended);
  }

  /** Sends a signal, and resolves when that has ended it. */
  async end(signal: Deno.Signal): Promise<number> {
    this.kill(signal);
    return await this.finish();
  }

  kill(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) this.#process.kill("SIGKILL");
    await this.ended;
  }

  async #follow(): Promise<number> {
    const { stdout, stderr, status } = this.#process;
    await Promise.all([this.#read(stdout), this.#read(stderr)]);
    const { code } = await status;
    this.#over = true;
    this.#wake();
    return code;
  }

  async #read(stream: ReadableStream<BufferSource>): Promise<void> {
    let rest = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      this.lines.push(...lines);
      this.#wake();
    }
    if (rest !== "") this.lines.push(rest);
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }

  async #patiently<T>(what: string, wait: () => Promise<T>): Promise<T> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      // Not SIGKILL: a program with children of its own must be able to end those.
      if (!this.#over) this.#process.kill("SIGTERM");
    }, PATIENCE);
    try {
      const result = await wait();
      if (late) {
        throw new Error(`It took longer than ${PATIENCE} ms ${what}. It said:\n${this.text}`);
      }
      return result;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** A port on which nobody listens, at least just now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** A test that is skipped, and says why, where a permission or a thing of the system is missing. */
export function systemTest(
  name: string,
  needs: { readonly permissions: readonly Deno.PermissionName[]; readonly unix?: boolean },
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const missing = needs.permissions.filter((name) =>
    Deno.permissions.querySync({ name }).state !== "granted"
  ).map((name) => `--allow-${name}`);
  if (needs.unix && Deno.build.os === "windows") missing.push("Unix");
  const ignore = missing.length > 0;
  const shown = ignore ? `${name} (skipped: needs ${missing.join(", ")})` : name;
  // Longer than the patience with a child, whose report says more.
  Deno.test({ name: shown, ignore, fn, timeout: 2 * PATIENCE });
}
