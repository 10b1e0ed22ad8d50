/**
 * Something that happens again and again, and is waited for. (Node 20 has no `Promise.withResolvers`.)
 */
export class Signal {
  #happened = () => {};
  #next: Promise<void> = this.#renew();

  /** Resolves when it has happened since the last time that this was awaited. */
  async next(): Promise<void> {
    await this.#next;
    this.#next = this.#renew();
  }

  /** It happens. */
  give(): void {
    this.#happened();
  }

  #renew(): Promise<void> {
    return new Promise((resolve) => this.#happened = resolve);
  }
}
