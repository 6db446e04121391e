// Node's WebAssembly with types of our own: TypeScript has them only together with those of a browser.

/** Compiled code. It may be posted to other threads. */
export type WasmModule = { readonly [kind]: 'module' };
declare const kind: unique symbol;

/** Memory of an instance. After it has grown, `buffer` is another one, and the old one is empty. */
export type WasmMemory = { readonly buffer: ArrayBuffer; grow(pages: number): number };

/** Functions that are called by number. */
export type WasmTable = { grow(by: number): number; set(index: number, value: unknown): void };

type WebAssemblyNamespace = {
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => WasmMemory;
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

export const webAssembly: WebAssemblyNamespace = (
  globalThis as unknown as { readonly WebAssembly: WebAssemblyNamespace }
).WebAssembly;
