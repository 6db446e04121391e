import type { Wasm } from './wasm.ts';
import { webAssembly } from './web-assembly.ts';

// JavaScript functions that C can call. Only WebAssembly functions may enter the table, so each is passed through a module of a few bytes
// that imports it and exports it again.

/** `i`: 32-bit integer or pointer; `j`: 64-bit integer, a bigint; `v`: nothing. The result first, as in `ipij`. */
type Signature = string;

const valueTypes: Readonly<Record<string, number>> = { i: 0x7f, j: 0x7e };

/** Adds `callback` to the table of an instance. Returns the function pointer, which lasts as long as the instance. */
export function addFunction(wasm: Wasm, signature: Signature, callback: (...parameters: never[]) => unknown): number {
  const table = wasm.exports.__indirect_function_table;
  const module = new webAssembly.Module(wrapper(signature));
  const { f } = new webAssembly.Instance(module, { e: { f: callback } }).exports;
  const index = table.grow(1);
  table.set(index, f);
  return index;
}

/** https://webassembly.github.io/spec/core/binary/modules.html: one type, one import, one export. All lengths are below 128. */
function wrapper(signature: Signature): Uint8Array<ArrayBuffer> {
  const [result = 'v', ...parameters] = signature;
  const types = parameters.map((letter) => valueTypes[letter]!);
  const results = result === 'v' ? [] : [valueTypes[result]!];
  const type = [1, 0x60, types.length, ...types, results.length, ...results];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...[0x01, type.length, ...type],
    ...[0x02, 0x07, 0x01, 0x01, 0x65, 0x01, 0x66, 0x00, 0x00],
    ...[0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00],
  ]);
}
