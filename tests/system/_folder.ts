/** A folder for a test, with what a test may need in it. */
import { assertEquals } from "@std/assert";

/** A folder that is gone after the test. */
export class Folder implements AsyncDisposable {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  static async make(): Promise<Folder> {
    return new Folder(await Deno.makeTempDir({ prefix: "vnet" }));
  }

  path(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** As a process that crashed would: the file of a socket, and nobody behind it. */
  async leaveStale(name: string): Promise<void> {
    const first = this.path("first-name.sock");
    const listener = Deno.listen({ transport: "unix", path: first });
    await Deno.rename(first, this.path(name));
    listener.close();
    assertEquals((await Deno.lstat(this.path(name))).isSocket, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#path, { recursive: true });
  }
}
