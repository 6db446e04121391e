/** What a check has looked at. `error`: a sync cannot work so. `warning`: it can, until something happens. */
export type Finding = {
  readonly severity: 'ok' | 'warning' | 'error';
  /** What it is about: a setting, a table, a slot. */
  readonly what: string;
  readonly is: string;
  readonly needed: string;
  /** What to do about it. There unless it is in order. */
  readonly nextStep?: string;
};
