import { randomBytes } from 'node:crypto';
import { BatonError, toErrorRecord } from '@batondb/core/errors';
import {
  type Admission,
  type FirewallMode,
  formatGate,
  type Gate,
  type IptablesGate,
  type NftGate,
  placeOf,
} from './gate.ts';
import { iptablesRemoval, lockSeconds, replaceCommands, restoreProgram, ruleSpecs } from './iptables.ts';
import { nftRemoval, openCommands, renewCommands } from './nftables.ts';
import { surveyFirewall } from './survey.ts';
import { mayChangeFirewall, runTool } from './tools.ts';
import { runRemoval, Watchdog } from './watchdog.ts';

/** What was done about the firewall, and where or why; also where something was opened and something else could not be. */
export type Admitted = { readonly did: 'opened' | 'nothing' | 'unable'; readonly where: string };

const renewMs = 10_000;

/**
 * This agent's rules. They let in whom admit() named last, and are gone after close(), after the agent's death (watchdog), and
 * let nobody in half a minute after the death of both (kernel).
 */
export class Firewall {
  readonly #id = randomBytes(8).toString('hex');
  #gates: readonly Gate[] = [];
  /** The rules of iptables as they stand, by program. */
  readonly #specs = new Map<string, readonly string[]>();
  /** Programs whose kernel has no match on time. */
  readonly #untimed = new Set<string>();
  #admitted: Admitted = { did: 'nothing', where: '' };
  #wanted: (Admission & { readonly mode: FirewallMode }) | undefined;
  #watchdog: Watchdog | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** One after another: what is done here changes the same rules. */
  #work: Promise<unknown> = Promise.resolve();

  /**
   * Lets exactly these addresses in from now on. In the mode `auto` what cannot be done is said; in another it is thrown:
   * NO_PERMISSION, or what the tool said.
   */
  async admit(wanted: Admission & { readonly mode: FirewallMode }): Promise<Admitted> {
    return await this.#inTurn(async () => {
      this.#wanted = wanted;
      try {
        return await this.#admit(wanted);
      } catch (error) {
        if (wanted.mode !== 'auto') throw error;
        return { did: 'unable', where: toErrorRecord(error).message };
      }
    });
  }

  /** Removes the rules; returns when they are gone. */
  async close(): Promise<void> {
    await this.#inTurn(async () => {
      // Only now: the turn before ours may have started it.
      clearInterval(this.#timer);
      this.#wanted = undefined;
      await this.#remove();
    });
  }

  async #admit({ mode, ...admission }: Admission & { readonly mode: FirewallMode }): Promise<Admitted> {
    if (!mayChangeFirewall()) {
      throw new BatonError('NO_PERMISSION', 'only root may look at the firewall and change it', {
        hint: 'use --sudo, or open the data port yourself and use --firewall none',
      });
    }
    if (this.#gates.length === 0 || !(await this.#renew(admission))) this.#admitted = await this.#open(mode, admission);
    if (this.#gates.length > 0) this.#timer ??= setInterval(() => void this.#inTurn(() => this.#keep()), renewMs);
    return this.#admitted;
  }

  /** What is ours from before goes first. In the mode `auto` each place that can be opened is. */
  async #open(mode: FirewallMode, admission: Admission): Promise<Admitted> {
    await this.#remove();
    const { gates, sweep, asked, unable } = await surveyFirewall(mode);
    if (sweep.length > 0) await runRemoval(sweep.join('\n'));
    if (gates.length === 0) return notOpened(asked, unable);
    this.#gates = gates;
    // It is there before the first rule, so that there is no moment in which nobody would remove it.
    this.#watchdog = await Watchdog.start(this.#removal());
    const opened: Gate[] = [];
    const failures = [...unable];
    for (const group of Map.groupBy(gates, placeOf).values()) {
      try {
        await this.#openPlace(group, admission);
        opened.push(...group);
      } catch (error) {
        if (mode !== 'auto') {
          await this.#remove();
          throw error;
        }
        failures.push(toErrorRecord(error).message);
      }
    }
    if (opened.length === 0) {
      await this.#remove();
      return { did: 'unable', where: failures.join('; ') };
    }
    this.#gates = opened;
    const where = opened.map(formatGate).join(', ');
    return { did: 'opened', where: failures.length === 0 ? where : `${where}, but not all: ${failures.join('; ')}` };
  }

  /** Opens the chains of one table of nftables, or that of one program of iptables. */
  async #openPlace(gates: readonly Gate[], admission: Admission): Promise<void> {
    const nft = gates.filter((gate): gate is NftGate => gate.kind === 'nftables');
    if (nft.length > 0) await runTool(['nft', '-f', '-'], openCommands(nft, this.#id, admission));
    for (const gate of gates) {
      if (gate.kind !== 'iptables') continue;
      try {
        await this.#replace(gate, admission);
      } catch (error) {
        if (this.#untimed.has(gate.program)) throw error;
        this.#untimed.add(gate.program);
        await this.#replace(gate, admission);
      }
    }
  }

  /** False when somebody removed rules of ours, as who loads the firewall anew does. */
  async #renew(admission: Admission): Promise<boolean> {
    try {
      const nft = this.#gates.filter((gate): gate is NftGate => gate.kind === 'nftables');
      if (nft.length > 0) await runTool(['nft', '-f', '-'], renewCommands(nft, this.#id, admission));
      for (const gate of this.#gates) if (gate.kind === 'iptables') await this.#replace(gate, admission);
    } catch {
      return false;
    }
    if (this.#watchdog?.isAlive !== true) this.#watchdog = await Watchdog.start(this.#removal());
    return true;
  }

  /** New rules of iptables in place of those that stand. */
  async #replace(gate: IptablesGate, admission: Admission): Promise<void> {
    const removed = this.#specs.get(gate.program) ?? [];
    const isTimed = !this.#untimed.has(gate.program);
    const added = ruleSpecs(gate, this.#id, admission, { nowMs: Date.now(), isTimed });
    if (added.length + removed.length === 0) return;
    const argv = [restoreProgram(gate.program), '-w', `${lockSeconds}`, '--noflush'];
    await runTool(argv, replaceCommands(added, removed));
    this.#specs.set(gate.program, added);
  }

  async #keep(): Promise<void> {
    if (this.#wanted === undefined) return;
    const { mode, ...admission } = this.#wanted;
    if (this.#gates.length > 0 && (await this.#renew(admission))) return;
    // Who loads a firewall anew may be in the middle of it: the next turn tries again, and the hop's sender does too.
    await this.#open(mode, admission).catch(() => undefined);
  }

  async #remove(): Promise<void> {
    const watchdog = this.#watchdog;
    this.#watchdog = undefined;
    this.#gates = [];
    this.#specs.clear();
    await watchdog?.end();
  }

  #removal(): string {
    const nft = this.#gates.filter((gate): gate is NftGate => gate.kind === 'nftables');
    const iptables = this.#gates.filter((gate): gate is IptablesGate => gate.kind === 'iptables');
    return [...nftRemoval(nft, this.#id), ...iptables.flatMap((gate) => iptablesRemoval(gate, this.#id))].join('\n');
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(work);
    this.#work = result.catch(() => undefined);
    return result;
  }
}

function notOpened(asked: readonly string[], unable: readonly string[]): Admitted {
  if (unable.length > 0) return { did: 'unable', where: unable.join('; ') };
  const tools = asked.join(', ');
  return {
    did: 'nothing',
    where: tools === '' ? 'there is no tool for a firewall' : `nothing filters what comes in (${tools})`,
  };
}
