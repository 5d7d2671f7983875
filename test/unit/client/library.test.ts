import { expect, it } from 'vitest';
import * as library from '../../../src/index.js';
import type { Client, ConnectOptions, Job } from '../../../src/index.js';

it('exports what the documentation uses, and nothing by accident', () => {
  const connect: (options?: ConnectOptions) => Promise<Client> = library.connect;
  const state = (job: Job): string => job.state;
  expect([typeof connect, typeof state]).toEqual(['function', 'function']);
  expect(Object.keys(library).sort()).toEqual(['ClientError', 'connect']);
});
