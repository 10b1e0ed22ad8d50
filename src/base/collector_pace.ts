/**
 * Keeps the engine's collector in step with memory that lies outside of its heap.
 *
 * To the engine a body of 64 KiB is some 200 bytes of heap and a number. Its quick collection, of what is
 * young, would give the memory of hundreds of bodies back in 0.1 ms, but it comes only after some MB of
 * heap; long before that so much lies outside that everything is collected, which takes 10 ms and more,
 * again and again. So for what is given away some heap is used up as well, and dropped at once: then the
 * quick one comes in time, and memory is used again while it is still in the processor's caches.
 */

/** What a view and the object around it use by themselves. */
const VIEW = 192;
/** Beyond this a body costs so much by itself that nothing is to be gained. */
const MOST = 131_072;
/**
 * Some 8 MB may lie outside until everything is collected, and what is young may grow to 16 MB before it
 * is: so twice as much is used up. Not for short bodies, around which there are objects enough, nor for all
 * of long ones, where it costs as much as it saves.
 */
const SHORT = 1_024;
const TWICE = 16_384;
/** So much is used up at once, in bytes: not worth a collection, and one call for many small bodies. */
const PIECE = 32_768;
const SLOT = 8;

let owed = 0;
/** Where it goes, so that the compiler cannot leave it out. */
let dropped: unknown[] | undefined;

/** A view of so many bytes was given away. */
export function gaveAway(bytes: number): void {
  if (bytes <= VIEW) return;
  // Half as much would do as long as the engine keeps room for few young objects; it makes more in time.
  owed += Math.min(bytes, MOST) + Math.min(Math.max(bytes - SHORT, 0), TWICE) - VIEW;
  for (; owed >= PIECE; owed -= PIECE) dropped = new Array(PIECE / SLOT);
  if (dropped !== undefined) dropped = undefined;
}
