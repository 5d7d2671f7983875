import type { Handler } from '../service.js';
import { parseFilter, select } from './get.js';

/** `ls`: the ids of the jobs of a filter. */
export const ls: Handler = (argument, { service }) =>
  select(parseFilter(argument, 'ls'), service).map((record) => record.id);
