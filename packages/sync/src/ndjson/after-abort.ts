/** Calls back some time after a signal, unless it is disposed before: for what waits for somebody else, who may never answer. */
export function afterAbort(signal: AbortSignal, delayMs: number, onLate: () => void): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const abort = (): void => {
    timer = setTimeout(onLate, delayMs);
  };
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    },
  };
}
