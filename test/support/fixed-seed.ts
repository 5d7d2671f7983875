import fc from 'fast-check';

/** The same inputs every time, so that a change lands or not for what it is; SEED=n looks elsewhere. */
fc.configureGlobal({ seed: Number(process.env['SEED'] ?? 20_261_121) });
