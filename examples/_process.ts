/**
 * A program that runs as a process of its own, beside others in one terminal.
 */

/** What a process is started with. */
export interface ProcessOptions {
  /** For error messages. */
  readonly name: string;
  /** Shown before each of its lines. */
  readonly prefix: string;
  /** What follows on `deno run`. */
  readonly args: readonly string[];
  /** Ends every wait for it. */
  readonly signal: AbortSignal;
}

/** A running process. Its lines are shown as they come. */
export class Process {
  /** Resolves when it has ended, and all that it said was shown. */
  readonly ended: Promise<Deno.CommandStatus>;
  readonly #options: ProcessOptions;
  readonly #child: Deno.ChildProcess;
  readonly #listeners = new Set<(line: string) => void>();
  #over = false;

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...options.args],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.ended = this.#follow();
  }

  /** Resolves with the next line that has these words in it; rejects when it ends without. */
  async says(words: string): Promise<void> {
    const { name, signal } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const listener = (line: string) => line.includes(words) && resolve();
    const abort = () => reject(signal.reason);
    this.#listeners.add(listener);
    signal.addEventListener("abort", abort);
    this.ended.then(() => reject(new Error(`${name} has ended and never said "${words}"`)));
    if (signal.aborted) abort();
    try {
      await promise;
    } finally {
      this.#listeners.delete(listener);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Sends a signal, if it still runs. */
  kill(signal: Deno.Signal): void {
    if (!this.#over) this.#child.kill(signal);
  }

  /** Asks it to end, and makes it end if it does not. */
  async stop(): Promise<void> {
    this.kill("SIGTERM");
    const timer = setTimeout(() => this.kill("SIGKILL"), 3_000);
    await this.ended;
    clearTimeout(timer);
  }

  async #follow(): Promise<Deno.CommandStatus> {
    const { stdout, stderr, status } = this.#child;
    const shown = Promise.all([this.#show(stdout), this.#show(stderr)]);
    const result = await status;
    this.#over = true;
    await shown;
    return result;
  }

  async #show(stream: ReadableStream<BufferSource>): Promise<void> {
    let rest = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        console.log(this.#options.prefix + line);
        for (const listener of this.#listeners) listener(line);
      }
    }
  }
}
