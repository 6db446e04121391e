import { limits } from '@batondb/core/limits';

// How far the source of a stream may forget what it has read, and targets of a backup what they have received. Pure.
//
// R5: a unit is kept at the source until two live targets hold it, or all if there are fewer: when one host dies, somebody still has what
// the others need. A target that is much slower than the first one is not waited for: it is fed from what that one has on its disk.
//
// R6: so a target of a backup frees what it has unpacked only when every live target holds it.

/** So far behind the first target, for so long, the second one holds up the stream. */
const lagUnits = limits.streamWindowUnits / 2;
const lagMsMax = 5_000;

/** What is known of a stream while it runs. */
export class StreamFlow {
  #isRelaxed = false;
  #lagSinceMs: number | undefined;
  #released = 0;
  #held = 0;

  /**
   * `heldUnits`: of each live target, below which unit it has everything. Returns how many units the source may forget; undefined when
   * that is no more than before.
   */
  observe(heldUnits: readonly number[], nowMs: number): number | undefined {
    const [first = 0, second = first] = [...heldUnits].sort((a, b) => b - a);
    this.#judgeLag(first - second, nowMs);
    const released = this.#isRelaxed ? first : second;
    if (released <= this.#released) return undefined;
    this.#released = released;
    return released;
  }

  /** R6: below which unit all live targets have everything; undefined when that is no more than before. */
  observeAll(heldUnits: readonly number[]): number | undefined {
    const held = Math.min(...heldUnits);
    if (heldUnits.length === 0 || held <= this.#held) return undefined;
    this.#held = held;
    return held;
  }

  #judgeLag(behindUnits: number, nowMs: number): void {
    if (behindUnits < lagUnits) {
      this.#lagSinceMs = undefined;
      return;
    }
    this.#lagSinceMs ??= nowMs;
    if (nowMs - this.#lagSinceMs > lagMsMax) this.#isRelaxed = true;
  }
}
