/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/** What the page's own elements are, and how new ones are made. */

/** The element of an id, which is of a certain kind. */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new TypeError(`There is no ${kind.name} with the id '${id}' in page.html`);
}

/** Makes an element. Text is text: nothing that somebody says can become markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...children);
  return element;
}

/** A circle with the first letter of a name, in a colour that is always the same for it. */
export function face(name: string): HTMLElement {
  const element = make("span", "face");
  element.setAttribute("aria-hidden", "true");
  paintFace(element, name);
  return element;
}

/** Makes a face that of somebody. */
export function paintFace(element: HTMLElement, name: string): void {
  element.textContent = [...name][0]?.toUpperCase() ?? "";
  element.style.setProperty("--hue", `${hueOf(name)}`);
}

/** The colour of somebody, in degrees. */
export function hueOf(name: string): number {
  let hash = 7;
  for (const char of name) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 3_600;
  return hash / 10;
}
