/**
 * What a browser may lack: the two symbols of resource management. Import it before everything else, since
 * classes use them as they are defined.
 */
for (const name of ["dispose", "asyncDispose"]) {
  if (Reflect.get(Symbol, name) === undefined) {
    Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) });
  }
}
