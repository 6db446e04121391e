/** The demo did not see what it shows: said in a sentence, without a stack. */
export class DemoFailure extends Error {
  override readonly name = 'DemoFailure';
}

/** Ends the demo when something it promises is not so. */
export function expect(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new DemoFailure(sentence);
}
