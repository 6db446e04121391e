// The overlay against whole copies of every state.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '@batondb/testbed/random';
import fc from 'fast-check';
import { Overlay, openLayer } from '../src/machine/overlay.ts';
import { PageArena } from '../src/machine/page-arena.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { runs } from './property.ts';

const pageBytes = 64;
/** So few that most pages are in the file. */
const memoryBytes = 3 * pageBytes;
const pagesMax = 8;

type Step =
  | { readonly kind: 'write'; readonly page: number }
  | { readonly kind: 'truncate'; readonly pageCount: number }
  | { readonly kind: 'drop' | 'release' | 'merge'; readonly layer: number }
  | { readonly kind: 'seal' };
const layer = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('write' as const), page: fc.integer({ min: 1, max: pagesMax }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('truncate' as const), pageCount: fc.nat({ max: pagesMax }) }),
  },
  { weight: 6, arbitrary: fc.constant({ kind: 'seal' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), layer }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'merge' as const), layer }) },
);

/** A database's pages, each as the one number that fills it. */
type State = { readonly number: number; readonly pages: number[] };

/** The overlay, and what it should be: all states from the published one on, the open one last if there is one. */
class Bed {
  readonly arena: PageArena;
  readonly overlay: Overlay;
  #states: State[] = [{ number: 0, pages: [] }];
  #sequence = 0;
  #fill = 0;

  constructor() {
    this.arena = new PageArena(pageBytes, memoryBytes, new FaultyLayer(new Random(1)), '/');
    this.overlay = new Overlay(this.arena);
  }

  get #top(): State {
    return this.#states.at(-1)!;
  }

  /** The open state; one is begun if none is. */
  #open(): State {
    if (this.#top.number === openLayer) return this.#top;
    const { pages } = this.#top;
    this.overlay.begin(pages.length);
    this.#states.push({ number: openLayer, pages: [...pages] });
    return this.#top;
  }

  #write(pages: number[], page: number, fill: number): void {
    this.overlay.write(page, Buffer.alloc(pageBytes, fill));
    pages[page - 1] = fill;
  }

  run(one: Step): void {
    switch (one.kind) {
      case 'write': {
        const { pages } = this.#open();
        // As who writes does: no page appears unwritten.
        while (pages.length < one.page - 1) this.#write(pages, pages.length + 1, 0);
        this.#fill = (this.#fill % 250) + 1;
        this.#write(pages, one.page, this.#fill);
        return;
      }
      case 'truncate': {
        const { pages } = this.#open();
        pages.length = Math.min(pages.length, one.pageCount);
        this.overlay.truncate(pages.length);
        return;
      }
      case 'seal': {
        const { pages } = this.#open();
        this.#sequence += 1 + (this.#sequence % 3);
        this.overlay.seal(this.#sequence);
        this.#states[this.#states.length - 1] = { number: this.#sequence, pages };
        return;
      }
      case 'drop': {
        const after = this.#at(one.layer).number;
        this.overlay.drop(after);
        this.#states = this.#states.filter(({ number }) => number <= after);
        return;
      }
      case 'release': {
        const { number } = this.#at(one.layer);
        this.overlay.release(number);
        this.#states = this.#states.filter((state) => state.number >= number);
        return;
      }
      case 'merge':
        this.#merge(one.layer);
    }
  }

  /** A state that is sealed, or published. */
  #at(position: number): State {
    const sealed = this.#states.filter(({ number }) => number !== openLayer);
    return sealed[position % sealed.length]!;
  }

  /** A group is what makes the state after it of the one before it, with the pages of the last version only. */
  #merge(position: number): void {
    const [before, through] = [this.#states[0]!, this.#at(position)];
    if (through.number === before.number) return;
    const { pages, pageCountMin, pageCount } = this.overlay.merge(before.number, through.number);
    const made = before.pages.slice(0, pageCountMin);
    for (const page of pages) made[page - 1] = this.#read(page, through.number)!;
    assert.equal(pageCount, through.pages.length);
    assert.deepEqual(made.slice(0, pageCount), through.pages);
    assert.ok(pages.every((page, at) => page <= pageCount && page > (pages[at - 1] ?? 0)));
  }

  /** What a reader at a layer finds in a page, which is all of one kind. */
  #read(page: number, layerMax: number): number | undefined {
    const content = Buffer.alloc(pageBytes);
    if (!this.overlay.read(page, layerMax, 0, content)) return this.#states[0]!.pages[page - 1];
    const part = Buffer.alloc(7);
    assert.ok(this.overlay.read(page, layerMax, 11, part));
    assert.ok(content.every((byte) => byte === content[0]) && part.every((byte) => byte === content[0]));
    return content[0];
  }

  check(): void {
    const published = this.#states[0]!.number;
    for (let page = 1; page <= pagesMax; page++)
      assert.ok(!this.overlay.read(page, published, 0, Buffer.alloc(1)), 'what is published is forgotten');
    for (const { number, pages } of this.#states) {
      const count = this.overlay.pageCount(number);
      if (count !== undefined) assert.equal(count, pages.length);
      else assert.equal(number, this.#states[0]!.number, 'only the published state is in no layer');
      for (const [at, fill] of pages.entries()) assert.equal(this.#read(at + 1, number), fill, `page ${at + 1}`);
    }
  }
}

// Proves: whatever is written, truncated, sealed, dropped and released, a reader at each layer sees exactly the state that it closed, and a group of layers merged is
// what makes one state of another (O1 to O3).
test('the overlay and copies of states', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 120 }), (steps) => {
      const bed = new Bed();
      for (const one of steps) {
        bed.run(one);
        bed.check();
      }
      bed.arena[Symbol.dispose]();
    }),
    runs(100),
  );
});
