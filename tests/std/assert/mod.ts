/**
 * Stands in for `jsr:@std/assert` where JSR cannot be reached. Covers what vnet's tests use.
 *
 * Equality is Node's. It differs from std's in three ways that tests do not rely on: `0` and `-0`
 * are not equal, an object without a prototype is not equal to one with, two errors of the same
 * message are equal.
 *
 * @module
 */
import nodeAssert from "node:assert/strict";
import { inspect, isDeepStrictEqual, stripVTControlCharacters } from "node:util";

/** Anything with a length and indices, except text. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** A class whose instances are `T`. */
type Class<T> = new (...args: never[]) => T;

/** An assertion does not hold. */
export class AssertionError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

/** Whether both are deeply equal. */
export function equal(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(a, b);
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/** Fails: this line is never meant to run. */
export function unreachable(msg?: string): never {
  throw new AssertionError(`Unreachable${suffix(msg)}`);
}

/** Asserts that `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Asserts that `expr` is falsy. */
export function assertFalse(expr: unknown, msg = ""): void {
  if (expr) throw new AssertionError(msg);
}

/** Asserts that both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  // The message of Node's error shows where the two differ.
  const { message } = new nodeAssert.AssertionError({
    actual,
    expected,
    operator: "deepStrictEqual",
  });
  throw new AssertionError(`Values are not equal${suffix(msg)}\n${message}`);
}

/** Asserts that both are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) failed(actual, "to differ from", expected, msg);
}

/** Asserts that both are the same value, by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (!Object.is(actual, expected)) failed(actual, "to be strictly equal to", expected, msg);
}

/** Asserts that `actual` is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === null || actual === undefined) {
    throw new AssertionError(
      `Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`,
    );
  }
}

/** Asserts that both numbers are within `tolerance`, by default a ten-millionth of `expected`. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  msg?: string,
): void {
  if (Object.is(actual, expected)) return;
  const most = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  if (!(Math.abs(expected - actual) <= most)) failed(actual, "to be close to", expected, msg);
}

/** Asserts that `actual` is greater than `expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) failed(actual, "to be greater than", expected, msg);
}

/** Asserts that `actual` is greater than or equal to `expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) failed(actual, "to be greater than or equal to", expected, msg);
}

/** Asserts that `actual` is less than `expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) failed(actual, "to be less than", expected, msg);
}

/** Asserts that `actual` is less than or equal to `expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) failed(actual, "to be less than or equal to", expected, msg);
}

/** Asserts that `actual` is an instance of `expectedType`. */
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg?: string,
): asserts actual is T {
  if (actual instanceof expectedType) return;
  failed(actual, "to be an instance of", expectedType.name, msg);
}

/** Asserts that `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  // Not `test`, which moves the `lastIndex` of a global expression.
  if (actual.search(expected) < 0) failed(actual, "to match", expected, msg);
}

/** Asserts that `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) failed(actual, "to contain", expected, msg);
}

/** Asserts that `actual` has an element deeply equal to each of `expected`. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const items = Array.from(actual);
  const found = (wanted: T) => items.some((item) => equal(item, wanted));
  if (!Array.from(expected).every(found)) failed(actual, "to include", expected, msg);
}

/** Asserts that `actual` has at least what `expected` has, at every depth. */
export function assertObjectMatch(
  actual: object,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  if (!matches(actual, expected)) failed(actual, "to match", expected, msg);
}

/** Asserts that `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that `fn` throws an `ErrorClass` whose message includes `msgIncludes`; returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const expected = expectation(classOrMsg, msgIncludes, msg);
  try {
    fn();
  } catch (error) {
    return expected.check(error);
  }
  throw new AssertionError(`Expected function to throw${suffix(expected.msg)}`);
}

/** Asserts that `fn` returns a promise that rejects; resolves with its reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that `fn` rejects with an `ErrorClass` whose message includes `msgIncludes`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const expected = expectation(classOrMsg, msgIncludes, msg);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
    if (typeof promise?.then !== "function") throw new TypeError("Not a promise");
  } catch (cause) {
    const text = `Function throws when expected to reject${suffix(expected.msg)}`;
    throw new AssertionError(text, { cause });
  }
  try {
    await promise;
  } catch (error) {
    return expected.check(error);
  }
  throw new AssertionError(`Expected function to reject${suffix(expected.msg)}`);
}

/** What `assertThrows` and `assertRejects` were asked for. */
function expectation(
  classOrMsg: Class<Error> | string | undefined,
  msgIncludes: string | undefined,
  lastMsg: string | undefined,
): { msg: string | undefined; check: (error: unknown) => unknown } {
  if (classOrMsg === undefined || typeof classOrMsg === "string") {
    return { msg: classOrMsg, check: (error) => error };
  }
  return {
    msg: lastMsg,
    check: (error) => {
      if (!(error instanceof classOrMsg)) {
        const text = `Expected error to be instance of "${classOrMsg.name}", but was ${
          show(error)
        }`;
        throw new AssertionError(`${text}${suffix(lastMsg)}`, { cause: error });
      }
      const message = stripVTControlCharacters(error.message);
      if (msgIncludes && !message.includes(stripVTControlCharacters(msgIncludes))) {
        const text = `Expected error message to include "${msgIncludes}", but got "${message}"`;
        throw new AssertionError(`${text}${suffix(lastMsg)}`, { cause: error });
      }
      return error;
    },
  };
}

/** Whether `actual` itself has every property of `expected`, each with a match. */
function matches(actual: unknown, expected: unknown): boolean {
  if (!isObject(actual) || !isObject(expected) || isLeaf(expected)) return equal(actual, expected);
  if (Array.isArray(actual) !== Array.isArray(expected)) return false;
  return Reflect.ownKeys(expected).every((key) =>
    // The first items of an array are enough, so its length is not compared.
    (key === "length" && Array.isArray(expected)) ||
    (Object.hasOwn(actual, key) && matches(Reflect.get(actual, key), Reflect.get(expected, key)))
  );
}

/** Whether the content is not in the properties. */
function isLeaf(value: object): boolean {
  return ArrayBuffer.isView(value) ||
    [ArrayBuffer, Date, Error, Map, RegExp, Set].some((type) => value instanceof type);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function failed(actual: unknown, relation: string, expected: unknown, msg?: string): never {
  throw new AssertionError(`Expected ${show(actual)} ${relation} ${show(expected)}${suffix(msg)}`);
}

function show(value: unknown): string {
  return inspect(value, { depth: 4 });
}

function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}
