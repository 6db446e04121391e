import type { Found } from './follower-plan.ts';

/** What is measured. Methods of one workload read the same rows, and are compared with its first one. */
export type Workload = 'dump' | 'dump-etcd' | 'stream-4' | 'stream-1000' | 'etcd-4' | 'etcd-1000';

/** One way to do a workload, or several that have to follow one another: what each took, by its name. */
export type Method = {
  readonly workload: Workload;
  readonly run: () => Promise<Readonly<Record<string, Found>>>;
};

export type Sample = Found & { readonly round: number; readonly workload: Workload; readonly method: string };
