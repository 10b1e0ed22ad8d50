/**
 * What a page has and a server has not: it is hidden, it sleeps, it goes offline.
 *
 * Owns the names of its events. Reads all of it from a scope that is handed in, and needs nothing of it to be
 * there: a worker has no document, and Deno has neither.
 */

/** A page, or what there is of one. */
export interface Page {
  /** Whether the browser says that there is no network at all. That there is one it cannot know. */
  readonly offline: boolean;
  /**
   * Calls `changed` when the network comes or goes, and when the page is looked at again, until the result
   * is disposed of.
   */
  watch(changed: () => void): Disposable;
}

/** The page of a global scope. */
export function pageOf(scope: object): Page {
  const page = Reflect.get(scope, "document");
  const window = scope instanceof EventTarget ? scope : undefined;
  const document = page instanceof EventTarget ? page : undefined;
  return {
    get offline() {
      return field(Reflect.get(scope, "navigator"), "onLine") === false;
    },
    watch(changed) {
      const shown = () => {
        if (field(document, "visibilityState") !== "hidden") changed();
      };
      const restored = (event: Event) => {
        // The one at the end of every load wakes nobody up.
        if (field(event, "persisted") === true) changed();
      };
      const listeners: [EventTarget | undefined, string, (event: Event) => void][] = [
        [window, "online", changed],
        [window, "offline", changed],
        [window, "pageshow", restored],
        [document, "visibilitychange", shown],
      ];
      for (const [target, name, listener] of listeners) target?.addEventListener(name, listener);
      return {
        [Symbol.dispose]() {
          for (const [target, name, listener] of listeners) {
            target?.removeEventListener(name, listener);
          }
        },
      };
    },
  };
}

function field(of: unknown, name: string): unknown {
  return typeof of === "object" && of !== null ? Reflect.get(of, name) : undefined;
}
