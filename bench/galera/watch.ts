import { readFileSync, writeFileSync } from 'node:fs';
import type { GaleraNode } from '@batondb/testbed/galera-node';
import { openScope, type Scope } from '../scope.ts';

// What a server starts for a transfer, and what that costs: everything in the server's control group but the server.

const lookMs = 100;
/** How often memory is looked at: the kernel goes through every page for that, and at `lookMs` it took 14 of 100 of both processors. */
const memoryLookMs = 1000;
const ticksPerSecond = 100;

/** Follows what a running server starts from now on, on one node. */
export class ServerWatch {
  memoryBytesMax = 0;
  readonly #node: GaleraNode;
  readonly #scope: Scope;
  readonly #timer: NodeJS.Timeout;
  #cpuBefore: number | undefined;
  #firstMs: number | undefined;
  #lastMs = 0;
  #memoryLookMs = 0;

  /** The server runs, and has started nothing yet. */
  constructor(node: GaleraNode) {
    this.#node = node;
    this.#scope = openScope(() => node.pid);
    if (this.#scope.joinPath !== undefined) writeFileSync(this.#scope.joinPath, String(node.pid));
    this.#timer = setInterval(() => this.#look(), lookMs);
    this.begin();
  }

  /** Begins to measure anew. */
  begin(): void {
    this.memoryBytesMax = 0;
    this.#firstMs = undefined;
    this.#lastMs = 0;
    this.#cpuBefore = this.#cpuOfChildren();
  }

  /** Since `begin`. */
  get cpuSeconds(): number | undefined {
    const now = this.#cpuOfChildren();
    return now === undefined || this.#cpuBefore === undefined ? undefined : now - this.#cpuBefore;
  }

  /** From the first to the last time that something was seen of what the server starts. */
  get workSeconds(): number {
    return this.#firstMs === undefined ? 0 : (this.#lastMs - this.#firstMs) / 1000;
  }

  /** To be called when the server has ended. Returns the names of what it has left behind, and ends that. */
  async close(): Promise<string[]> {
    clearInterval(this.#timer);
    return await this.#scope.close();
  }

  #look(): void {
    const children = this.#scope.processes().filter((pid) => pid !== this.#node.pid);
    if (children.length === 0) return;
    this.#lastMs = performance.now();
    this.#firstMs ??= this.#lastMs;
    if (this.#lastMs - this.#memoryLookMs < memoryLookMs) return;
    this.#memoryLookMs = this.#lastMs;
    const bytes = children.reduce((sum, pid) => sum + memoryBytes(pid), 0);
    this.memoryBytesMax = Math.max(this.memoryBytesMax, bytes);
  }

  #cpuOfChildren(): number | undefined {
    const all = this.#scope.cpuSeconds();
    return all === undefined ? undefined : all - cpuSecondsOf(this.#node.pid);
  }
}

/** User and system, of all threads that the process ever had. */
function cpuSecondsOf(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}

/** Pages that it shares are counted by their share. */
function memoryBytes(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended.
    return '';
  }
}
