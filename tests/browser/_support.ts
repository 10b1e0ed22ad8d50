/**
 * A page that the test is in charge of: what it shows, and whether there is a network. Nothing of it is global.
 */
import { pageOf } from "../../src/runtime/page.ts";
import type { Page } from "../../src/runtime/page.ts";

/** Counts who listens, so that a test can tell that nobody does any more. */
class Target extends EventTarget {
  listeners = 0;

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...args);
  }
}

class FakeDocument extends Target {
  visibilityState = "visible";
}

/** A global scope with a page in it. */
export class FakeScope extends Target {
  readonly document = new FakeDocument();
  readonly navigator = { onLine: true };
  readonly page: Page = pageOf(this);

  /** How many listeners there are on all of it. */
  get watched(): number {
    return this.listeners + this.document.listeners;
  }

  /** The network comes or goes. */
  network(there: boolean): void {
    this.navigator.onLine = there;
    this.dispatchEvent(new Event(there ? "online" : "offline"));
  }

  /** Somebody looks at the page, or nobody does any more. */
  show(visible: boolean): void {
    this.document.visibilityState = visible ? "visible" : "hidden";
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  /** It is shown: after it was loaded, or as it was left. */
  pageshow(persisted: boolean): void {
    this.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
  }
}
