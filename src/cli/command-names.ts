/** The first words that meeseeks-watch knows. */
export const watchCommands = [
  'run',
  'plan',
  'explain',
  'validate',
  'schema',
  'status',
  'retry',
  'forget',
  'mark-done',
  'completion',
] as const;

/** The same of meeseeks-box. */
export const boxCommands = ['completion'] as const;
