import type { ResolvedConfig } from '../config/load.js';
import { render } from '../config/placeholders.js';
import { serviceLookup } from '../watch/render.js';

/** Names of the pools that the watches submit to, as far as they do not depend on the file. */
export function poolsUsed(config: ResolvedConfig): string[] {
  const names = config.watches.flatMap((watch) =>
    watch.steps.flatMap((step, index) => {
      const specs = step.kind === 'single' ? [step.spec] : step.specs;
      return specs.flatMap((spec) =>
        spec === null ? [] : [poolName(spec.pool, serviceLookup(watch, index, 1))],
      );
    }),
  );
  return [...new Set(names.filter((name) => name !== undefined))];
}

function poolName(template: string, lookup: Parameters<typeof render>[1]): string | undefined {
  try {
    return render(template, lookup);
  } catch {
    return undefined;
  }
}
